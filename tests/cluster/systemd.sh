# For setup.sh: the service that `toplet setup` has started, under its real systemd: reload, watchdog, the socket across restarts and
# crashes, a kubeconfig that is rotated or revoked, an API server that is gone for a minute.

systemctl_of_machine() { echo "nsenter -a -t $(pgrep -P "$(cat "$CLUSTER_RUN/machine.pid")") systemctl $*"; }
steady() { cluster in python3 "$HERE/steady.py" --at https://10.88.0.2:4443 --pki "$PKI" "$@"; }
has_logged() { machine journalctl -u toplet.service --since "@$1" -o cat | grep -q -- "$2"; }
# the kubeconfig with another token, put in the old one's place at once
rotate() { machine sh -c "umask 077; sed 's/token: [^ ,}]*/token: $1/' /etc/toplet/kubeconfig > /etc/toplet/new && mv /etc/toplet/new /etc/toplet/kubeconfig"; }
is_refused() { [ "$(cluster in curl -sk -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $1" https://127.0.0.1:6443/api/v1/nodes)" = 401 ]; }
is_served_since() { sampled_since 4443 "$1" && kc kubectl top node; }

check_reload() {
  local pid; pid=$(main_pid)
  machine systemctl reload toplet.service && [ "$(main_pid)" = "$pid" ] && served 4443 "$G/nodes" && ok "systemctl reload keeps the process" || fail "systemctl reload" "$(machine systemctl status toplet.service)"
}

# Connections are made one after another. What is under way when the process is killed is lost with any server: so it is killed in between.
check_socket() {
  expect "5 times systemctl restart between 1,000 requests: none refused, none lost" ' 0 refused, 0 lost' steady --between 167 "$(systemctl_of_machine restart toplet.service)"
  (for _ in 1 2 3 4 5; do sleep 1.2; machine systemctl restart toplet.service; done) &
  expect "5 times systemctl restart during 1,000 requests: none refused, none lost" ' 0 refused, 0 lost' steady --pause 0.004; wait $!
  expect "5 times SIGKILL between 1,000 requests: none refused, none lost" ' 0 refused, 0 lost' steady --between 167 "$(systemctl_of_machine kill -s KILL toplet.service)"
  (for _ in 1 2 3 4; do sleep 3; machine systemctl kill -s KILL toplet.service; done) &
  local out; out=$(steady --pause 0.01); wait $!
  grep -Eq ' 0 refused, [0-4] lost' <<< "$out" && ok "4 times SIGKILL during 1,000 requests: only what was under way is lost: $out" || fail "SIGKILL during 1,000 requests" "$out"
}

# The shipped unit waits for 60 s; here 10 s, so that this does not take as long.
check_watchdog() {
  local pid since; since=$(date +%s)
  machine sh -c 'mkdir -p /run/systemd/system/toplet.service.d; printf "[Service]\nWatchdogSec=10s\n" > /run/systemd/system/toplet.service.d/watchdog.conf; systemctl daemon-reload; systemctl restart toplet.service'
  sleep 12; pid=$(main_pid); has_logged "$since" "Watchdog timeout" && fail "a service that runs feeds its watchdog"
  machine systemctl kill -s STOP toplet.service
  within 30 has_restarted "$pid" && has_logged "$since" "Watchdog timeout" && within 10 served 4443 "$G/nodes" && ok "a process that hangs is killed by the watchdog, started again, and serves" || fail "the watchdog" "$(machine journalctl -u toplet -n 8)"
  machine sh -c 'rm -r /run/systemd/system/toplet.service.d; systemctl daemon-reload; systemctl restart toplet.service'
}

check_rotation() {
  local token since; machine cp -p /etc/toplet/kubeconfig /etc/toplet/before
  cluster kubectl -n kube-system create secret generic rotated > /dev/null
  token=$(cluster kubectl -n kube-system create token metrics-server --bound-object-kind Secret --bound-object-name rotated --duration=1h)
  since=$(date +%s); rotate "$token"
  within 30 is_served_since "$since" && ok "a kubeconfig that is rotated is in use and served again after $(($(date +%s) - since)) s" || fail "a kubeconfig that is rotated" "$(machine journalctl -u toplet -n 8)"
  # Watches that are open go on for minutes, so the process begins with a credential that is refused.
  cluster kubectl -n kube-system delete secret rotated > /dev/null; within 60 is_refused "$token" || fail "a token whose Secret is gone is refused"; since=$(date +%s); machine systemctl restart toplet.service
  within 120 has_logged "$since" "status=1/FAILURE" && has_logged "$since" "the API server refuses the credentials of" && ok "a credential that stays refused ends the process with 1 after $(($(date +%s) - since)) s, and systemd starts it again" || fail "a credential that stays refused" "$(machine journalctl -u toplet -n 8)"
  since=$(date +%s); machine mv /etc/toplet/before /etc/toplet/kubeconfig
  within 30 is_served_since "$since" && ok "with a good kubeconfig in its place it is served again after $(($(date +%s) - since)) s" || fail "a good kubeconfig in its place" "$(machine journalctl -u toplet -n 8)"
}

# A pod of check_image has a token of an account that check_setup has deleted, and made again: nothing restarts it.
check_rotation_in_pod() {
  local since etc=$CLUSTER_RUN/pod-etc; cluster token; since=$(date +%s)
  cluster kubectl --kubeconfig "$PKI/sa.kubeconfig" config view --flatten --raw > "$etc/new"; chown 65534 "$etc/new"; chmod 400 "$etc/new"; mv "$etc/new" "$etc/kubeconfig"
  within 60 sampled_since 4447 "$since" && ok "a static pod serves again $(($(date +%s) - since)) s after its kubeconfig was rotated" || fail "a static pod whose kubeconfig is rotated" "$(ask "https://127.0.0.1:4447/readyz?verbose")"
}

# The service, and the pod, whose kubelet reviews tokens by that API server.
check_outage() {
  local apiserver since first; mapfile -d '' apiserver < "/proc/$(cat "$CLUSTER_RUN/apiserver.pid")/cmdline"
  cluster stop apiserver; sleep 60; cluster start apiserver "${apiserver[@]}"
  within 30 ask -f -o /dev/null https://127.0.0.1:6443/readyz || fail "the API server answers again"; since=${EPOCHREALTIME/./}; first=$(date +%s)
  within 5 kc kubectl top node && ok "an API server that was gone for 60 s: kubectl top node answers $(((${EPOCHREALTIME/./} - since) / 1000)) ms after its return" || fail "kubectl top node within 5 s of the API server's return" "$(kc kubectl top node 2>&1; machine journalctl -u toplet -n 8)"
  local port; for port in 4443 4447; do
    within 20 sampled_since "$port" "$first" && ok "port $port has samples from after it after $(((${EPOCHREALTIME/./} - since) / 1000)) ms" || fail "port $port has samples from after the outage" "$(ask "https://127.0.0.1:$port$G/nodes")"; done
}

check_service() { check_reload; check_socket; check_watchdog; check_rotation; check_rotation_in_pod; check_outage; }
