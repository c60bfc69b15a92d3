# For setup.sh: `toplet top` beside `kubectl top`, by the local socket of the service: as a member of the group toplet who has no
# kubeconfig, and as a user who is not a member.

top_questions() { cat <<'Q'
top node
top node --no-headers --sort-by=memory
top pod -A --containers --sort-by=cpu
top pod -A --sort-by=memory --show-swap
top pod -n default -l app=web --sum
top pod with-init --containers --no-headers
Q
}
as() { machine setpriv --reuid="$1" --regid=nogroup --init-groups env HOME=/nonexistent /usr/local/bin/toplet "${@:2}"; }
# sums of the rows of each pod in their order: pods that use the same stand in any order
pod_order() { awk '{ key = $1 " " $2 } key != last { if (NR > 1) print sum; sum = 0; last = key } { sum += $(NF - 1) } END { print sum }'; }
# QUESTION: both print the same, blanks included; toplet is asked before and after, so that both saw the same samples
is_same_top() {
  as member $1 > "$WORK/top.toplet" && kc kubectl $1 > "$WORK/top.kubectl" && as member $1 | cmp -s "$WORK/top.toplet" - &&
    diff <(sort "$WORK/top.kubectl") <(sort "$WORK/top.toplet") && diff <(pod_order < "$WORK/top.kubectl") <(pod_order < "$WORK/top.toplet")
}

check_top() {
  local out question
  # systemd's own user of that name stands in the way of a real one.
  machine sh -ec 'systemctl stop toplet.socket toplet.service; useradd --system --user-group toplet; useradd --system --groups toplet member; useradd --system other; systemctl start toplet.socket toplet.service' || { fail "user and group toplet"; return; }
  expect "the local socket is the group's" '^660 toplet$' machine stat -c '%a %G' /run/toplet/toplet.sock
  within 60 as member top pod with-init # read twice since the restart
  while read -r question; do
    if within 40 is_same_top "$question" < /dev/null; then ok "toplet $question prints what kubectl does, $(wc -l < "$WORK/top.toplet") lines, as a member of the group without a kubeconfig"
    else fail "toplet $question prints what kubectl does" "$(diff "$WORK/top.kubectl" "$WORK/top.toplet")"; fi
    case $question in *--containers\ --sort*) echo "    \$ kubectl $question"; sed 's/^/    /' "$WORK/top.kubectl"; echo "    \$ toplet $question"; sed 's/^/    /' "$WORK/top.toplet" ;; esac
  done < <(top_questions)
  expect "toplet top, with ages" '^NAMESPACE +NAME +CPU\(cores\) +MEMORY\(bytes\) +AGE' eval 'as member top | tail -n +4'
  if out=$(as other top pod -A 2>&1); then fail "a user who is not in the group is refused" "$out"
  else grep -q 'Permission denied.*usermod -aG toplet' <<< "$out" && ok "a user who is not in the group is refused: $out" || fail "the refusal names the group" "$out"; fi
  machine sh -c 'systemctl stop toplet.socket toplet.service; userdel member; userdel other; userdel toplet; systemctl start toplet.socket toplet.service'
  within 60 served 4443 "$G/nodes"
}
