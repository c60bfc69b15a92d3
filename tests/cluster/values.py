#!/usr/bin/env python3
"""Compares the usage that two metrics servers report for every container of one cluster.

  values.py --a URL --b URL --pki DIR [--samples N] [--every SECONDS]

Both are asked several times and averaged, since their windows differ. Prints one line a container and the node; exit
status 1 when an average differs by more than 10 % and by more than a little (3 millicores, 1 MiB), or one side lacks it.
"""
import argparse, json, os, ssl, sys, time, urllib.request

UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2 ** 10, "Mi": 2 ** 20, "Gi": 2 ** 30, "Ti": 2 ** 40}
LITTLE = {"cpu": 0.003, "memory": 2 ** 20}


def quantity(text):
    digits = text.rstrip("numkMGTi" + "K")
    return float(digits) * UNITS[text[len(digits):]]


def usage(base, context):
    """{name: {"cpu": cores, "memory": bytes}}, and each one's timestamp, so that one sample is not counted twice."""
    out = {}
    for path in ("nodes", "pods"):
        with urllib.request.urlopen(base + "/apis/metrics.k8s.io/v1beta1/" + path, context=context, timeout=30) as r:
            for item in json.load(r)["items"]:
                m = item["metadata"]
                holders = item.get("containers") or [dict(item, name="(node)")]
                for c in holders:
                    out[m.get("namespace", ""), m["name"], c["name"]] = (item["timestamp"], {k: quantity(v) for k, v in c["usage"].items()})
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--a", required=True), p.add_argument("--b", required=True), p.add_argument("--pki", required=True)
    p.add_argument("--samples", type=int, default=12), p.add_argument("--every", type=float, default=5)
    o = p.parse_args()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(os.path.join(o.pki, "admin.crt"), os.path.join(o.pki, "admin.key"))
    seen = [{}, {}]
    for n in range(o.samples):
        for side, base in zip(seen, (o.a, o.b)):
            for key, (at, values) in usage(base, context).items():
                side.setdefault(key, {})[at] = values
        time.sleep(o.every if n + 1 < o.samples else 0)
    bad = 0
    for key in sorted(set(seen[0]) | set(seen[1])):
        name = "/".join(k for k in key if k)
        if key not in seen[0] or key not in seen[1]:
            bad += 1
            print("%-44s only in %s" % (name, "B" if key in seen[1] else "A"))
            continue
        line = "%-44s" % name
        for k, scale, unit in (("cpu", 1e3, "m"), ("memory", 2.0 ** -20, "Mi")):
            a, b = (sum(v[k] for v in side[key].values()) / len(side[key]) for side in seen)
            off = abs(a - b)
            wrong = off > LITTLE[k] and off > 0.1 * max(a, b)
            bad += wrong
            line += "  %s %9.2f%s | %9.2f%s %+6.1f%%%s" % (k, a * scale, unit, b * scale, unit, 100 * (b - a) / a if a else 0, " WRONG" if wrong else "")
        print(line)
    print("A %s, B %s: %d containers and nodes, %d disagree" % (o.a, o.b, len(set(seen[0]) | set(seen[1])), bad))
    return 1 if bad or not seen[0] else 0


if __name__ == "__main__":
    sys.exit(main())
