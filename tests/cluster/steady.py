#!/usr/bin/env python3
"""Asks for the usage of nodes N times, one request after another, each on a connection of its own, and counts what goes wrong.

    steady.py --at https://10.88.0.2:4443 --pki DIR --count 1000 [--pause 0.002] [--between 200 COMMAND]

`--between K COMMAND` runs a shell command after each K requests, while none is under way. Prints one line, `1000 requests: 0 refused,
0 lost, slowest 2104 ms`, and ends with 1 if one was refused (no connection) or lost (a connection without a whole answer of 200).
"""
import argparse, http.client, ssl, subprocess, sys, time, urllib.parse

ap = argparse.ArgumentParser(description=__doc__)
ap.add_argument("--at", required=True); ap.add_argument("--pki", required=True); ap.add_argument("--count", type=int, default=1000)
ap.add_argument("--pause", type=float, default=0.0); ap.add_argument("--between", nargs=2, metavar=("K", "COMMAND"))
given = ap.parse_args()
at = urllib.parse.urlsplit(given.at)
tls = ssl.create_default_context(); tls.check_hostname = False; tls.verify_mode = ssl.CERT_NONE
tls.load_cert_chain(f"{given.pki}/admin.crt", f"{given.pki}/admin.key")
refused, lost, slowest = [], [], 0.0
for n in range(given.count):
    if given.between and n and n % int(given.between[0]) == 0:
        subprocess.run(given.between[1], shell=True, check=True)
    begin = time.monotonic(); connection = http.client.HTTPSConnection(at.hostname, at.port, timeout=30, context=tls)
    try:
        connection.sock = None; connection.connect()
    except ConnectionRefusedError as error:
        refused.append(error); continue
    except OSError as error:  # accepted by the kernel, and the handshake did not end well
        lost.append(error); continue
    try:
        connection.request("GET", "/apis/metrics.k8s.io/v1beta1/nodes"); answer = connection.getresponse(); body = answer.read()
        if answer.status != 200 or not body.rstrip().endswith(b"}"): lost.append(answer.status)
    except (OSError, http.client.HTTPException) as error:
        lost.append(error)
    connection.close(); slowest = max(slowest, time.monotonic() - begin); time.sleep(given.pause)
print(f"{given.count} requests: {len(refused)} refused, {len(lost)} lost, slowest {slowest * 1000:.0f} ms", *(lost + refused)[:5])
sys.exit(1 if refused or lost else 0)
