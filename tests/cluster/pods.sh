# For `run`: the image in pods of Deployments that others wrote, with only the image changed, and in our own; each becomes Available,
# and kubectl top answers by way of the aggregator. Pods have the account and the token that Kubernetes gives them.

MS_SOURCE=$(cd "$HERE/metrics-server" && go list -m -f '{{.Dir}}' sigs.k8s.io/metrics-server 2> /dev/null)
IMAGE=docker.io/library/$(sed -n 's/ *image: //p' "$TOP/configs/deployment.yaml")

# In place of kube-proxy: rules of iptables from a Service's address to the API server and to the pods that are ready.
nat() { cluster in iptables -t nat "$@"; }
route_api_server() {
  cluster in sysctl -qw net.ipv4.conf.all.route_localnet=1
  nat -A PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination 127.0.0.1:6443
}
route_to() { # ADDRESS PORT POD ...: the rules of a Service, changed all at once
  local address=$1 port=$2 to rules=; shift 2; local left=$#
  for to; do rules+="-A SERVICE -d $address -p tcp --dport 443 -m statistic --mode nth --every $left --packet 0 -j DNAT --to-destination $to:$port"$'\n'; left=$((left - 1)); done
  cluster in iptables-restore -n <<< $'*nat\n:SERVICE - [0:0]\n'"${rules}COMMIT"
}
service_address() { cluster kubectl -n kube-system get service metrics-server -o 'jsonpath={.spec.clusterIP}'; }
route_service() {
  local to; read -r -a to <<< "$(cluster kubectl -n kube-system get endpointslice -l kubernetes.io/service-name=metrics-server -o 'jsonpath={.items[0].ports[0].port}{range .items[*].endpoints[?(@.conditions.ready==true)]} {.addresses[0]}{end}')"
  [ ${#to[@]} -gt 1 ] && route_to "$(service_address)" "${to[@]}"
}
follow_service() { # as kube-proxy, at every change until $follower ends
  local address port to; address=$(service_address); rm -f "$WORK/endpoints"; mkfifo "$WORK/endpoints"
  nsenter --net="/run/netns/$CLUSTER_NAME" python3 "$HERE/endpoints.py" --pki "$PKI" --service metrics-server > "$WORK/endpoints" & follower=$!
  while read -r port to; do route_to "$address" "$port" $to; done < "$WORK/endpoints" &
}
answers_from_pods() { route_service && available v1beta1.metrics.k8s.io && kc kubectl top node && kc kubectl top pod -A; }
pod_words() { cluster kubectl -n kube-system get pods -o wide; cluster kubectl -n kube-system describe deployment,pod | grep -A12 Events:; cat "$CLUSTER_RUN"/pod-logs/kube-system_metrics-server*/*/*.log | tail -5; }

is_available() { # NAME: the Deployment has rolled out and kubectl top answers
  local begin=$SECONDS ready
  cluster kubectl -n kube-system rollout status deployment/metrics-server --timeout=60s > /dev/null || { fail "$1: the Deployment is available" "$(pod_words)" 40; return 1; }
  ready=$((SECONDS - begin))
  within 40 answers_from_pods && ok "$1: available after $ready s, kubectl top answers after $((SECONDS - begin)) s" || { fail "$1: kubectl top" "$(kc kubectl top node 2>&1; pod_words)" 40; return 1; }
}
from_nothing() { # NAME FILE
  cluster kubectl -n kube-system apply -f "$2" > "$WORK/applied" 2>&1 || { fail "$1: applied" "$(cat "$WORK/applied")"; return 1; }
  is_available "$1"
}
gone() { cluster kubectl -n kube-system delete --ignore-not-found --wait -f "$1" > /dev/null 2>&1; nat -F SERVICE; within 30 eval '! cluster kubectl -n kube-system get pod -l "k8s-app in (metrics-server)" -o name | grep -q .'; }
patched() { # NAME JSON: of the container
  cluster kubectl -n kube-system patch deployment metrics-server --type=strategic -p "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"metrics-server\",$2}]}}}}" > /dev/null && is_available "$1"; }

K3S_ARGS='"--cert-dir=/tmp","--secure-port=10250","--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname","--kubelet-use-node-status-port","--metric-resolution=15s","--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"'

# A client asks all the time while the image of metrics-server's own Deployment is changed, and back.
ask_steadily() { while [ -e "$WORK/asking" ]; do
  if kc kubectl get --raw "$G/nodes" > "$WORK/answer" 2>&1 && grep -q '"usage"' "$WORK/answer"; then echo good; else echo "failed: $(head -c 300 "$WORK/answer")"; fi; done > "$WORK/asked"; }
set_image() { # IMAGE
  local name="set image to ${1##*/}" asker bad; touch "$WORK/asking"; ask_steadily & asker=$!; sleep 3
  cluster kubectl -n kube-system set image deployment/metrics-server "metrics-server=$1" > /dev/null
  cluster kubectl -n kube-system rollout status deployment/metrics-server --timeout=90s > /dev/null && within 60 eval '[ "$(cluster kubectl -n kube-system get pod -l k8s-app=metrics-server -o name | wc -l)" = 1 ]' || fail "$name: rolled out" "$(pod_words)"
  sleep 5; rm "$WORK/asking"; wait $asker; bad=$(grep -vc '^good' "$WORK/asked")
  [ "$bad" -eq 0 ] && [ "$(wc -l < "$WORK/asked")" -ge 30 ] && ok "$name: 0 of $(wc -l < "$WORK/asked") requests failed" || fail "$name: $bad of $(wc -l < "$WORK/asked") requests failed" "$(grep -v '^good' "$WORK/asked")"
}
check_set_image() {
  local theirs=registry.k8s.io/metrics-server/metrics-server:v0.9.0; cluster image "$BIN/metrics-server" "$theirs"
  cluster kubectl kustomize "$MS_SOURCE/manifests/overlays/release" 2> /dev/null | sed "s#image: .*#image: $theirs#" > "$WORK/theirs.yaml"
  from_nothing "metrics-server in its own Deployment" "$WORK/theirs.yaml"
  follow_service; set_image "$IMAGE"; set_image "$theirs"; kill "$follower"; gone "$WORK/theirs.yaml"
}

# The steps of configs/INSTALL.md for nodes without network, as they stand there; k3s imports each file of its directory at its start.
check_without_network() {
  local air=$WORK/air way tar; mkdir -p "$air/target/release"; ln -s "$TOP/.ci" "$TOP/configs" "$air"; cp "$SERVER" "$air/target/release/toplet"
  written() { local line; line=$(grep -m1 -F -- "$1" "$TOP/configs/INSTALL.md") && (cd "$air" && export CONTAINERD_ADDRESS="$CLUSTER_RUN/containerd.sock" && eval "$(sed "s# /var/lib/rancher# $air&#; s#$air #$air#" <<< "$line")") > /dev/null; }
  for way in 'ctr -n k8s.io images import' 'install -D target/toplet.oci.tar'; do
    ctr -a "$CLUSTER_RUN/containerd.sock" -n k8s.io images rm "$IMAGE" > /dev/null
    written '.ci/image target/toplet.oci.tar' && written "$way" || fail "$way: as written"
    for tar in "$air"/var/lib/rancher/k3s/agent/images/*.tar; do [ ! -e "$tar" ] || ctr -a "$CLUSTER_RUN/containerd.sock" -n k8s.io images import --all-platforms "$tar" > /dev/null; done
    from_nothing "without network, by $way" "$TOP/configs/deployment.yaml"; gone "$TOP/configs/deployment.yaml"
  done
}

# The lab's kubelets have certificates of the cluster's CA, so no flag is added to anybody's arguments.
check_metrics_servers_own() {
  cluster kubectl kustomize "$MS_SOURCE/manifests/overlays/release" 2> /dev/null | sed "s#image: .*#image: $IMAGE#" > "$WORK/release.yaml"
  from_nothing "metrics-server's own Deployment" "$WORK/release.yaml"
  patched "k3s' arguments, command: [/metrics-server]" "\"command\":[\"/metrics-server\"],\"args\":[$K3S_ARGS]"
  patched "stray words among the arguments" "\"command\":null,\"args\":[\"/metrics-server\",$K3S_ARGS,\"true\"]"
  grep -qs 'arguments without effect: `/metrics-server`, `true`' "$CLUSTER_RUN"/pod-logs/kube-system_metrics-server*/*/*.log && ok "stray words are warned about" || fail "stray words are warned about"
  gone "$WORK/release.yaml"
}

check_chart() { # as it is, and with its own certificate that the API server verifies, another port, metrics and a budget
  chart() { "$BIN/helm" template metrics-server "$MS_SOURCE/charts/metrics-server" -n kube-system --kube-version 1.37.2 --set "image.repository=${IMAGE%:*},image.tag=${IMAGE##*:}" "$@"; }
  chart > "$WORK/chart.yaml"; from_nothing "the Helm chart" "$WORK/chart.yaml"; gone "$WORK/chart.yaml"
  chart --set tls.type=helm,apiService.insecureSkipTLSVerify=false,metrics.enabled=true,containerPort=4443,podDisruptionBudget.enabled=true,podDisruptionBudget.minAvailable=1 > "$WORK/chart.yaml"
  grep -q 'caBundle: ..*' "$WORK/chart.yaml" || fail "the chart has a certificate of its own"
  from_nothing "the Helm chart with a certificate that the API server verifies" "$WORK/chart.yaml"; gone "$WORK/chart.yaml"
}

check_ours() {
  "$SERVER" manifest deployment --replicas=2 > "$WORK/pair.yaml"
  cluster kubectl apply -f "$WORK/pair.yaml" > /dev/null
  within 30 eval 'cluster kubectl -n kube-system get pod -l k8s-app=metrics-server -o "jsonpath={.items[*].status.conditions[*].message}" | grep -q "anti-affinity rules"' && ok "of two pods the second waits for a second node" || fail "of two pods the second waits for a second node" "$(pod_words)"
  within 40 answers_from_pods && ok "and the first answers" || fail "the first of two pods answers" "$(pod_words)"
  within 20 eval '[ "$(cluster kubectl -n kube-system get pdb metrics-server -o "jsonpath={.status.currentHealthy}{.status.disruptionsAllowed}")" = 10 ]' && ok "the PodDisruptionBudget keeps it through a drain" || fail "the PodDisruptionBudget keeps it through a drain" "$(cluster kubectl -n kube-system get pdb -o yaml)"
  gone "$WORK/pair.yaml"
}

# The steps of configs/INSTALL.md as they stand there; only directories are of this machine, and the kubelet's own one is that of its static pods.
check_static_pod() {
  local etc=$CLUSTER_RUN/pod-etc pods=$CLUSTER_RUN/static-pods steps; mkdir -p "$WORK/bin"
  printf '#!/bin/sh\nexec nsenter --net=/run/netns/%s %s "$@"\n' "$CLUSTER_NAME" "$BIN/kubectl" > "$WORK/bin/kubectl"; chmod 755 "$WORK/bin/kubectl"
  steps=$(sed -n '/^## 3\./,/^## [^3]/{/^```sh/,/^```/{/^```/d;p}}' "$TOP/configs/INSTALL.md" | sed "s# /etc/toplet# $etc#; s# /etc/kubernetes/manifests/# $pods/#")
  mkdir -p "$WORK/static/target/release"; cp -r "$TOP/configs" "$WORK/static"; cp "$SERVER" "$WORK/static/target/release/toplet"; sed -i "s#path: /etc/toplet#path: $etc#" "$WORK/static/configs/static-pod.yaml"
  (cd "$WORK/static" && export KUBECONFIG=$PKI/admin.kubeconfig PATH=$WORK/bin:$PATH && set -e && eval "$steps") > "$WORK/steps" 2>&1 || fail "the steps of a static pod, as written" "$(cat "$WORK/steps")"
  within 60 cluster kubectl -n kube-system wait --for=condition=Ready pod/metrics-server-edge-1 --timeout=1s && within 40 answers_from_pods && ok "the static pod, by $(wc -l <<< "$steps") lines as written: kubectl top answers" || fail "the static pod" "$(cat "$WORK/steps"; pod_words)"
  rm "$pods/static-pod.yaml"; "$SERVER" manifest deployment --replicas=0 > "$WORK/none.yaml"; gone "$WORK/none.yaml"
}

check_pods() {
  route_api_server; nat -N SERVICE; nat -A OUTPUT -j SERVICE
  check_set_image; check_without_network; check_metrics_servers_own
  if [ -x "$BIN/helm" ]; then check_chart; else fail "helm is not there: ./cluster build"; fi
  check_ours; check_static_pod; nat -F; nat -X SERVICE
}
