# For `run`: `toplet setup` on a machine that looks like a k3s server, from nothing to kubectl top and back. The machine is a
# real systemd in namespaces of its own, beside the cluster's network: /etc, /usr/local and /var are overlays, so that real
# paths are written and nothing of this machine changes. In place of kube-proxy stands one rule of iptables.

machine_up() {
  local lab=$CLUSTER_RUN/machine cgroups=/sys/fs/cgroup; mkdir -p "$lab"
  [ -f $cgroups/cgroup.controllers ] || cgroups=$cgroups/unified
  mkdir -p "$cgroups/$CLUSTER_NAME-lab-machine"
  cluster kubectl --kubeconfig "$PKI/admin.kubeconfig" config view --flatten --raw > "$CLUSTER_RUN/k3s.yaml"; install -m 755 "$SERVER" "$CLUSTER_RUN/toplet-file"
  cluster in iptables -t nat -A OUTPUT -p tcp -d 10.96.0.0/24 --dport 443 -j DNAT --to-destination 10.88.0.2:4443
  cat > "$CLUSTER_RUN/machine-up" <<'X'
set -e
lab=$1; run=$2; mount -t tmpfs lab "$lab"
for at in /etc /usr/local /var; do
  mkdir -p "$lab$at/up" "$lab$at/work"
  mount -t overlay over -o "lowerdir=$at,upperdir=$lab$at/up,workdir=$lab$at/work" $at
done
install -D -m 600 "$run/k3s.yaml" /etc/rancher/k3s/k3s.yaml
# No service of this machine starts here, and nothing sets up its kernel.
rm -rf /etc/systemd/system /etc/toplet /var/lib/toplet /var/lib/private/toplet; mkdir /etc/systemd/system
mount -t tmpfs none /lib/systemd/system/sysinit.target.wants
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' > /etc/systemd/system/machine.target
mount -t tmpfs -o mode=755 run /run; umount -l /sys/fs/cgroup; mount -t cgroup2 cgroups /sys/fs/cgroup
# systemd shows a service its credentials by mounts that spread from its own.
mount --make-rshared /
exec env -i container=lab PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin /lib/systemd/systemd --unit=machine.target --show-status=no
X
  (echo $BASHPID > "$cgroups/$CLUSTER_NAME-lab-machine/cgroup.procs"
    cluster start machine unshare -m -p -f -C --kill-child --mount-proc --propagation private bash "$CLUSTER_RUN/machine-up" "$lab" "$CLUSTER_RUN")
  within 20 machine systemctl is-active machine.target || { fail "the machine comes up" "$(tail -5 "$CLUSTER_RUN/machine.log")"; return 1; }
}
machine() { nsenter -a -t "$(pgrep -P "$(cat "$CLUSTER_RUN/machine.pid")")" env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$@"; }
machine_down() { cluster stop machine; cluster in iptables -t nat -F OUTPUT; }
main_pid() { machine systemctl show -p MainPID --value toplet.service; }
has_restarted() { [ "$(main_pid)" != "$1" ] && machine systemctl is-active --quiet toplet.service; }
# every object but those that come and go by themselves
object_list() { local kinds; kinds=$(cluster kubectl api-resources --verbs=list -o name | grep -vE '^(events|leases|pods|(nodes|pods)\.metrics|componentstatuses)' | paste -sd,)
  cluster kubectl get "$kinds" -A --ignore-not-found -o 'jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{"\n"}{end}' 2> /dev/null | sort; }
same_objects() { object_list > "$WORK/objects.now"; out=$(diff "$1" "$WORK/objects.now"); }

check_setup() {
  local out v="$CLUSTER_RUN/toplet-file"
  cluster stop toplet; cluster stop metrics-server
  cluster kubectl delete --ignore-not-found -f "$HERE/manifests/metrics-server.yaml" -f "$HERE/manifests/v1-apiservice.yaml" > /dev/null
  cluster kubectl -n kube-system delete --ignore-not-found endpoints,endpointslices -l k8s-app=metrics-server > /dev/null 2>&1
  object_list > "$WORK/objects.before"
  machine_up || return
  expect "setup --dry-run prints objects and files" '^==> /etc/toplet/kubeconfig' machine "$v" setup --dry-run
  same_objects "$WORK/objects.before" && machine test ! -e /etc/toplet && ok "setup --dry-run changes nothing" || fail "setup --dry-run changes nothing" "$out"

  expect "one command on a machine that has nothing" 'kubectl top node answers' machine "$v" setup
  expect "kubectl top node after setup" '^edge-1 +[0-9]+m +[0-9]+% +[0-9]+Mi' kc kubectl top node
  expect "its kubeconfig is its own, and nobody else reads it" '^600 0$' machine stat -c '%a %u' /etc/toplet/kubeconfig
  out=$(cluster kubectl auth can-i --list --as=system:serviceaccount:kube-system:metrics-server 2>&1)
  ! grep -q '^nodes/metrics ' <<< "$out" || grep -qE '^(secrets|\*\.\*) ' <<< "$out" && fail "the account has metrics-server's rights alone" "$out" || ok "the account has metrics-server's rights alone"
  machine find /etc/toplet /etc/systemd/system /usr/local/bin/toplet -newermt 1970-01-02 -type f -exec stat -c '%n %Y %i' {} + > "$WORK/files.first"
  out=$(machine "$v" setup 2>&1)
  grep -qE '^(created|changed|deleted|replaced|started|kept)' <<< "$out" || [ "$(grep -c '^unchanged' <<< "$out")" -lt 20 ] && fail "setup again changes nothing" "$out" || ok "setup again changes nothing: $(grep -c '^unchanged' <<< "$out") lines unchanged"
  machine find /etc/toplet /etc/systemd/system /usr/local/bin/toplet -newermt 1970-01-02 -type f -exec stat -c '%n %Y %i' {} + | diff "$WORK/files.first" - > /dev/null && ok "setup again writes no file" || fail "setup again writes no file"
  within 60 kc kubectl top pod -A # its pods have been read twice as well
  expect "toplet doctor with what setup made" 'ok +aggregation' machine "$v" doctor --config=/etc/toplet/toplet.conf --kubeconfig=/etc/toplet/kubeconfig --state-dir=/var/lib/toplet
  check_top; check_service
  expect "setup --undo" '^removed +APIService v1beta1' machine "$v" setup --undo
  within 20 same_objects "$WORK/objects.before" && ok "setup --undo leaves the objects as they were: $(wc -l < "$WORK/objects.before")" || fail "setup --undo leaves the objects as they were" "$out"
  machine test ! -e /etc/toplet -a ! -e /usr/local/bin/toplet -a ! -e /var/lib/toplet -a ! -e /etc/systemd/system/toplet.service.d && ok "setup --undo leaves no file" || fail "setup --undo leaves no file" "$(machine find /etc/toplet /usr/local/bin/toplet /var/lib/toplet /etc/systemd/system/toplet* 2>&1)"

  # An old Deployment with its Service that has a selector, by client-side apply.
  cluster kubectl apply -f "$TOP/configs/deployment.yaml" > /dev/null; sleep 2; object_list > "$WORK/objects.deployment"
  out=$(machine "$v" setup 2>&1) && fail "setup refuses a Deployment that is there" "$out" || { grep -q 'not made by toplet setup: Deployment metrics-server,.*--replace' <<< "$out" && ok "setup refuses a Deployment that is there: ${out##*$'\n'}" || fail "setup names what is in the way" "$out"; }
  same_objects "$WORK/objects.deployment" && ok "a refused setup changes nothing" || fail "a refused setup changes nothing" "$out"
  expect "setup --replace takes its place" 'kubectl top node answers' machine "$v" setup --replace
  expect "the Service has no selector, and leads here alone" '^ 10.88.0.2$' cluster kubectl -n kube-system get service,endpointslice -l k8s-app=metrics-server -o 'jsonpath={.items[0].spec.selector} {.items[*].endpoints[*].addresses[*]}'
  expect "setup --undo after --replace" '^removed +Service metrics-server' machine "$v" setup --undo
  within 20 same_objects "$WORK/objects.before" && ok "nothing is left of either" || fail "nothing is left of either" "$out"
  machine_down

  cluster kubectl apply --server-side -f "$TOP/configs/deployment.yaml" > /dev/null
  out=$(cluster kubectl diff --server-side -f "$TOP/configs/deployment.yaml" 2>&1) && ok "deployment.yaml applied on the server does not drift" || fail "deployment.yaml applied on the server does not drift" "$out"
  cluster kubectl delete -f "$TOP/configs/deployment.yaml" > /dev/null
}
