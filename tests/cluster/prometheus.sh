# For `run`: a Prometheus that scrapes /metrics/usage, configured as the comment in configs/prometheus.yml says and with the role of
# that file. What it makes of the kubelet's counters is compared with what kubectl top says during the same minute.

prometheus_config() { # the commented example, for this port, this token and a faster pace; Debian's Prometheus does not know that field
  printf 'global: {scrape_interval: 15s, scrape_timeout: 10s}\n'
  sed -n '/^# scrape_configs:/,/^#$/s/^# \{0,1\}//p' "$TOP/configs/prometheus.yml" | grep -v track_timestamps_staleness |
    sed "s#metrics-server.kube-system.svc#127.0.0.1:4443#; s#/var/run/secrets[^}]*/token#$PKI/prometheus.token#"
}
usage_status() { cluster in curl -sk -o "$WORK/usage.page" -w '%{http_code}' -H "Authorization: Bearer $(cat "$1")" "https://127.0.0.1:4443$2"; }
query() { cluster in curl -sf --data-urlencode "query=$1" http://127.0.0.1:9090/api/v1/query; }
has_value() { query "$1" | grep -q '"value"'; }

# container rows of kubectl top, four times in the minute that the rate is about: NAMESPACE/POD/NAME MILLICORES
top_of_a_minute() { local n; for n in 1 2 3 4; do [ $n = 1 ] || sleep 15; kc kubectl top pod -A --containers --no-headers | awk '{ print $1 "/" $2 "/" $3, $4 + 0 }'; done; }
# FILE: its averages beside the rates in cores on standard input; ends with 1 where they differ by more than 10 % and 3 millicores
compare_rates() { python3 -c '
import collections, json, sys
top, bad = collections.defaultdict(list), 0
for line in open(sys.argv[1]): top[line.split()[0]].append(float(line.split()[1]))
rates = {"/".join(r["metric"][k] for k in ("namespace", "pod", "container")): 1e3 * float(r["value"][1]) for r in json.load(sys.stdin)["data"]["result"]}
for name in sorted(name for name, values in top.items() if len(values) == 4):
    said, rate = sum(top[name]) / 4, rates.get(name, float("nan"))
    wrong = not abs(said - rate) <= max(3, 0.1 * said); bad += wrong
    print("%-44s kubectl top %7.1fm   Prometheus %7.1fm%s" % (name, said, rate, " WRONG" if wrong else ""))
sys.exit(bad > 0 or len(rates) < 5)' "$1"; }

check_prometheus() {
  local try good= name="rate(container_cpu_usage_seconds_total[1m]) agrees with kubectl top within 10 %"
  cluster kubectl create namespace monitoring > /dev/null; cluster kubectl -n monitoring create serviceaccount prometheus > /dev/null
  cluster kubectl -n monitoring create token prometheus --duration=1h > "$PKI/prometheus.token"
  [ "$(usage_status "$PKI/prometheus.token" /metrics/usage)" = 403 ] && ok "/metrics/usage is refused without the role" || fail "/metrics/usage is refused without the role"
  cluster kubectl apply -f "$TOP/configs/prometheus.yml" > /dev/null
  # A refusal is kept for some seconds.
  within 60 eval '[ "$(usage_status "$PKI/prometheus.token" /metrics/usage)" = 200 ]' || fail "/metrics/usage is served with the role"
  local page; for page in /metrics /metrics/usage; do
    usage_status "$PKI/prometheus.token" $page > /dev/null; expect "promtool check metrics: $page, $(wc -c < "$WORK/usage.page") bytes, is clean" '^$' eval 'promtool check metrics < "$WORK/usage.page" && echo'; done

  prometheus_config > "$CLUSTER_RUN/prometheus.yml"; expect "promtool check config: the commented example" SUCCESS promtool check config "$CLUSTER_RUN/prometheus.yml"
  cluster start prometheus prometheus --config.file="$CLUSTER_RUN/prometheus.yml" --storage.tsdb.path="$CLUSTER_RUN/prometheus" --web.listen-address=127.0.0.1:9090
  within 90 has_value 'rate(node_cpu_usage_seconds_total[1m]) > 0' && ok "Prometheus scrapes /metrics/usage: $(query 'scrape_samples_scraped' | grep -o '"value":[^}]*')" || { fail "Prometheus scrapes /metrics/usage" "$(query up; tail -5 "$CLUSTER_RUN/prometheus.log")"; return; }
  for try in 1 2 3; do # as in check_values
    top_of_a_minute > "$WORK/top.minute"; query 'rate(container_cpu_usage_seconds_total[1m])' | compare_rates "$WORK/top.minute" > "$WORK/rates" && { good=yes; break; }
  done
  [ -n "$good" ] && ok "$name (try $try)" || fail "$name"; sed 's/^/    /' "$WORK/rates"
  cluster stop prometheus; cluster kubectl delete -f "$TOP/configs/prometheus.yml" > /dev/null; cluster kubectl delete namespace monitoring --wait=false > /dev/null
}
