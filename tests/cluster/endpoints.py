#!/usr/bin/env python3
"""Prints a line at every change of a Service's endpoints, as kube-proxy would learn of it: the port, and the addresses that are ready.

    endpoints.py --pki DIR --service metrics-server [--namespace kube-system]
"""
import argparse, http.client, json, ssl, time

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--pki", required=True); ap.add_argument("--service", required=True); ap.add_argument("--namespace", default="kube-system")
given = ap.parse_args()
tls = ssl.create_default_context(cafile=f"{given.pki}/cluster-ca.crt"); tls.load_cert_chain(f"{given.pki}/admin.crt", f"{given.pki}/admin.key")
path = f"/apis/discovery.k8s.io/v1/namespaces/{given.namespace}/endpointslices?watch=1&resourceVersion=0&labelSelector=kubernetes.io%2Fservice-name%3D{given.service}"
while True:  # a watch ends when its server says so; version 0 is what the server knows without asking etcd
    api = http.client.HTTPSConnection("127.0.0.1", 6443, context=tls); api.request("GET", path)
    for line in api.getresponse():
        event = json.loads(line); found = event["object"]
        if event["type"] in ("ADDED", "MODIFIED") and found.get("ports"):
            ready = [e["addresses"][0] for e in found.get("endpoints") or [] if e["conditions"].get("ready")]
            print(found["ports"][0]["port"], *ready, flush=True)
    time.sleep(0.1)
