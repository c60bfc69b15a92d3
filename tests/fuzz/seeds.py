#!/usr/bin/env python3
"""Writes seeds for every fuzz target below tests/fuzz/corpus/seeds, made of the golden files and tests/fuzz/seeds."""
import base64
import glob
import hashlib
import os
import re
import shutil
from urllib.parse import parse_qsl, urlsplit

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "golden")
SOURCE = os.path.join(HERE, "..", "..", "src")
OUT = os.path.join(HERE, "corpus", "seeds")
# Where the words of a target's grammar are written: their string literals become its dictionary.
WORDS = {
    "answer": ["api/*.rs", "api/openapi/*.rs"],
    "argv": ["cli/*.rs"],
    "kubeconfig": ["cluster/kubeconfig.rs"],
    "negotiate": ["api/negotiate.rs"],
    "request": ["serve/http1.rs"],
    "review": ["cluster/review.rs", "cluster/authentication.rs"],
    "exposition": ["wire/exposition.rs"],
    "summary": ["wire/summary.rs"],
    "kube_list": ["wire/kube_objects.rs"],
    "kube_watch": ["wire/kube_objects.rs"],
}


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def seed(target, content):
    content = content.encode() if isinstance(content, str) else content
    folder = os.path.join(OUT, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, hashlib.sha1(content).hexdigest()[:16]), "wb") as file:
        file.write(content)


def requests():
    for line in read(GOLDEN, "answers", "requests.tsv").decode().splitlines():
        _, method, target, *headers = line.split("\t")
        seed("answer", "\n".join([f"{method} {target}", *headers]))
        head = [f"{method} {target} HTTP/1.1", "Host: a", *headers]
        seed("request", "\r\n".join(head) + "\r\n\r\n" + "\x07")
        chunked = "\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nwiki\r\n0\r\nTrailer: x\r\n\r\n"
        plain = "GET http://a/?b HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\nxy"
        seed("request", "\r\n".join(head) + chunked + plain + "\x03")
        query = urlsplit(target).query
        for name, value in parse_qsl(query):
            if name.endswith("Selector"):
                seed("selector", value + "\napp=web\ntier=front\nmetadata.name=idle")
            if name == "timeout":
                seed("duration", value)
        by_name = dict(header.split(": ", 1) for header in headers)
        seed("negotiate", "\n".join([by_name.get("Accept", ""), by_name.get("User-Agent", ""), query]))
    for path in ["/", "/readyz?verbose&exclude=x", "/livez/ping", "/healthz", "/metrics", "/version", "/api", "/apis", "/apis/metrics.k8s.io",
                 "/openapi/v2", "/openapi/v3", "/openapi/v3/apis/metrics.k8s.io/v1beta1?hash=00"]:
        seed("answer", f"GET {path}\nAccept: */*")
        seed("answer", f"GET {path}\nAccept: application/yaml\nIf-None-Match: \"x\"")
        seed("answer", f"GET {path}\nAccept: application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io,application/vnd.kubernetes.protobuf")


def certificates():
    ders = []
    for path in sorted(glob.glob(os.path.join(GOLDEN, "certificates", "*.pem"))):
        pem = read(path)
        seed("certificate", pem)
        ders.append(base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-"))))
        seed("certificate", ders[-1])
    seed("certificate", b"".join(ders[-2:]))


def flags():
    names = re.findall(r'"([a-z][a-z0-9-]+)"', read(SOURCE, "cli", "flags.rs").decode())
    for name in sorted(set(names)):
        for value in ["", "=1", "=true", "=15s", "=a,b"]:
            seed("argv", f"--{name}{value}")
    seed("argv", "check\n--host-only\n--metric-resolution=10s\n--kubelet-preferred-address-types=InternalIP,Hostname\0# flags\nsecure-port 4443\n--v=2\n")
    for path in glob.glob(os.path.join(HERE, "..", "..", "configs", "**", "*"), recursive=True):
        if os.path.isfile(path):
            found = re.findall(r"--[a-z][a-z0-9-]+(?:=[^\s\"']*)?", read(path).decode())
            seed("argv", "\n".join(flag for flag in found if "config" not in flag))


def dictionary(target, patterns):
    words = set()
    for pattern in patterns:
        for path in glob.glob(os.path.join(SOURCE, pattern)):
            code = read(path).decode().split("#[cfg(test)]")[0]
            words.update(re.findall(r'"([ -!#-\[\]-~]{2,40})"', code))
    with open(os.path.join(OUT, target + ".dict"), "w") as file:
        file.writelines(f'"{word}"\n' for word in sorted(words))


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    requests()
    certificates()
    flags()
    for target, patterns in WORDS.items():
        dictionary(target, patterns)
    # The last byte is the length of the pieces.
    for path in glob.glob(os.path.join(GOLDEN, "kubelet", "*")):
        seed("exposition", read(path) + b"\x40")
        for at, line in enumerate(read(path).splitlines(keepends=True)):
            seed("exposition", line + b"\x05" if at % 8 == 0 else b"\n")
    summary = read(GOLDEN, "kubelet", "summary.json")
    seed("summary", summary + b"\x40")
    seed("summary", b"".join(summary.split()) + b"\x05")
    for target, name in [("kube_list", "nodes-list.pb"), ("kube_list", "pods-list.pb"), ("kube_watch", "pods-watch.pb")]:
        seed(target, read(GOLDEN, "kube-api", name) + b"\x40")
    stream = read(GOLDEN, "kube-api", "pods-watch.pb")
    while len(stream) > 4:
        end = 4 + int.from_bytes(stream[:4], "big")
        seed("kube_watch", stream[:end] + b"\x0f")
        stream = stream[end:]
    for path in glob.glob(os.path.join(GOLDEN, "kube-api", "*.json")):
        seed("review", read(path))
    # A reply with an address, one with a chain of names, and an unknown name.
    asked = b"\x06node-7\x03lan\x00\x00\x01\x00\x01"
    address = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x07"
    chain = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01x\xc0\x0c"
    seed("dns", b"\x00\x01\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + asked + address)
    seed("dns", b"\x00\x01\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00" + asked + chain + address)
    seed("dns", b"\x00\x01\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00" + asked)
    for text in ["0", "15s", "1h2m3.5s", "-1.5h", "100ms", "1us", "12µs", ".5s", "2562047h47m16.854775807s", "1x", "+5.s"]:
        seed("duration", text)
    for text in ["a=b", "a==b,c!=d", "a in (b,c),!d,e", "a notin (), b>5", "x.y/z in (,a)", "metadata.name=a\\,b\\=c,metadata.namespace!=x"]:
        seed("selector", text + "\na=b\nc=d")
    for path in glob.glob(os.path.join(HERE, "seeds", "*", "*")):
        seed(os.path.basename(os.path.dirname(path)), read(path))


main()
