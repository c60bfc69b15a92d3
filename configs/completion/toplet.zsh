#compdef toplet
# zsh completion of toplet: put it as _toplet into a directory of $fpath.
_toplet() {
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    local -a commands=(
      'check:Print the settings in force and the memory they reserve, or the first mistake.'
      'doctor:Check the whole path with these flags\: API server, rights, kubelets, APIService, certificates, clocks.'
      'manifest:Print the Kubernetes objects of a way to run toplet\: deployment, static-pod, host, rbac or doctor-rbac.'
      'setup:Install toplet as a service of this k3s or kubeadm server node, and register it with the cluster.'
      'top:Print the usage of nodes and pods, as kubectl top does, asked of the toplet of this machine\: toplet top --help.'
      'completion:Print the completion script of a shell\: bash, zsh or fish.'
    )
    _describe command commands
    return
  fi
  case $words[2] in
    check) _arguments -s '1:command:' '2::argument:' \
      '--config=[File of flags, one a line; lines that start with `#` are comments. The command line wins.]:value:_files' \
      '--host-only[Serve this machine alone, whatever cluster is configured.]' \
      '--max-nodes=[Nodes that room is reserved for; nodes beyond are refused and named in the log.]:value:_files' \
      '--max-pods=[Pods that room is reserved for.]:value:_files' \
      '--max-containers=[Containers that room is reserved for; a pod beyond is refused.]:value:_files' \
      '--max-connections=[Connections served at a time; one more is closed at once.]:value:_files' \
      '--grace-period=[Time for which the last figures of a node that cannot be scraped stay, with their own time (twice --metric-resolution and 30s unless given); 0s drops them at once.]:value:_files' \
      '--local-socket=[Socket on which clients of this machine read usage without TLS and without rights in the cluster  its file (mode 0660, group toplet) says who may (default  toplet.sock in $RUNTIME_DIRECTORY or /run/toplet, where that exists; empty  none).]:value:_files' \
      '--history=[Time for which CPU and memory of each node and container are kept for the status page, in 16 MiB at most for containers; 0s keeps none.]:value:_files' \
      '--usage-metrics[Serve the usage of nodes and containers at /metrics/usage, for Prometheus.]' \
      '--state-dir=[Directory for files kept between runs (default  $STATE_DIRECTORY, else none).]:value:_files' \
      '--help[Print this text.]' '-h[Print this text.]' \
      '--kubeconfig=[Path to the kubeconfig for the API server and the kubelets (default  in-cluster, then k3s’s, then host-only).]:value:_files' \
      '--metric-resolution=[Time between two scrapes of a node, at least 10s (1m0s if --kubelet-request-timeout alone asks for more).]:value:_files' \
      '--version[Print the version.]' \
      '--advertise-address=[With toplet setup and toplet manifest host  the address of this node that the API server reaches.]:value:_files' \
      '--max-requests-inflight=[Requests answered at a time; further ones get 429.]:value:_files' \
      '--request-timeout=[Longest time an answer may take; more than 1m0s counts as that.]:value:_files' \
      '--shutdown-delay-duration=[Time to go on serving, not ready, after the signal to stop (in a pod  2s).]:value:_files' \
      '--deprecated-kubelet-completely-insecure[DEPRECATED  ask kubelets over plain HTTP, without credentials.]' \
      '--kubelet-certificate-authority=[CA file that signs kubelet serving certificates (default  the API server’s).]:value:_files' \
      '--kubelet-client-certificate=[Client certificate file for kubelets.]:value:_files' \
      '--kubelet-client-key=[Its key file.]:value:_files' \
      '--kubelet-gzip[Ask kubelets for compressed answers  a tenth of the bytes, for CPU time of both machines. For slow links.]' \
      '--kubelet-insecure-tls[Do not verify kubelet certificates. For tests only.]' \
      '--kubelet-pin[Trust the key that each kubelet shows first, remember it in --state-dir, and refuse another one; certificates are not verified.]' \
      '--kubelet-port=[Port of the kubelets.]:value:_files' \
      '--kubelet-preferred-address-types=[Order in which the addresses of a node are considered.]:value:_files' \
      '--kubelet-request-timeout=[Longest time one scrape may take.]:value:_files' \
      '--kubelet-use-node-status-port[Use the port of the node’s status; --kubelet-port where it has none.]' \
      '--kubelet-via-apiserver[Ask kubelets through the API server’s node proxy, where only the API server reaches them; needs get on nodes/proxy.]' \
      '--node-selector=[Label selector  only nodes that match are scraped and served.]:value:_files' '-l[Label selector  only nodes that match are scraped and served.]:value:_files' \
      '--bind-address=[Address to listen on; 0.0.0.0 and    mean every address of both families (host-only default  127.0.0.1).]:value:_files' \
      '--cert-dir=[Directory of apiserver.crt and apiserver.key  used if both can be read, else made there.]:value:_files' \
      '--permit-port-sharing[Set SO_REUSEPORT  several processes may listen on one port.]' \
      '--secure-port=[Port to listen on (host-only default  4443).]:value:_files' \
      '--tls-cert-file=[Certificate file, CA certificates after it; replaces --cert-dir.]:value:_files' \
      '--tls-cipher-suites=[TLS 1.2 cipher suites by their Go names (default  all that are served).]:value:_files' \
      '--tls-min-version=[VersionTLS12 or VersionTLS13; older versions are not served.]:value:(VersionTLS12 VersionTLS13)' \
      '--tls-private-key-file=[Key file of --tls-cert-file.]:value:_files' \
      '--tls-sni-cert-key=[`crt,key  domain,... `  another certificate for these names; repeatable.]:value:_files' \
      '--authentication-kubeconfig=[kubeconfig for TokenReviews and the authentication ConfigMap (default  --kubeconfig).]:value:_files' \
      '--authentication-skip-lookup[Do not read the authentication ConfigMap.]' \
      '--authentication-token-webhook-cache-ttl=[Time a TokenReview’s answer is kept.]:value:_files' \
      '--authentication-tolerate-lookup-failure[Serve although the authentication ConfigMap cannot be read.]' \
      '--client-ca-file=[CA file of client certificates that identify a user (default  from the ConfigMap).]:value:_files' \
      '--requestheader-allowed-names=[Common names a front proxy may have; empty  any.]:value:_files' \
      '--requestheader-client-ca-file=[CA file of front proxies (default  from the ConfigMap).]:value:_files' \
      '--requestheader-extra-headers-prefix=[Prefixes of the front proxy’s extra headers.]:value:_files' \
      '--requestheader-group-headers=[The front proxy’s group headers.]:value:_files' \
      '--requestheader-uid-headers=[The front proxy’s UID headers.]:value:_files' \
      '--requestheader-username-headers=[The front proxy’s user headers.]:value:_files' \
      '--authorization-always-allow-paths=[Paths open to anyone, with any method; a trailing `*` matches any end.]:value:_files' \
      '--authorization-kubeconfig=[kubeconfig for SubjectAccessReviews (default  --kubeconfig).]:value:_files' \
      '--authorization-webhook-cache-authorized-ttl=[Time a granting review is kept.]:value:_files' \
      '--authorization-webhook-cache-unauthorized-ttl=[Time a refusing review is kept.]:value:_files' \
      '--logging-format=[`text` or `json`.]:value:(text json)' \
      '--v=[Verbosity  0 what changes, 2 what is done, 6 everything.]:value:_files' '-v[Verbosity  0 what changes, 2 what is done, 6 everything.]:value:_files' ;;
    doctor) _arguments -s '1:command:' '2::argument:' \
      '--config=[File of flags, one a line; lines that start with `#` are comments. The command line wins.]:value:_files' \
      '--host-only[Serve this machine alone, whatever cluster is configured.]' \
      '--max-nodes=[Nodes that room is reserved for; nodes beyond are refused and named in the log.]:value:_files' \
      '--max-pods=[Pods that room is reserved for.]:value:_files' \
      '--max-containers=[Containers that room is reserved for; a pod beyond is refused.]:value:_files' \
      '--max-connections=[Connections served at a time; one more is closed at once.]:value:_files' \
      '--grace-period=[Time for which the last figures of a node that cannot be scraped stay, with their own time (twice --metric-resolution and 30s unless given); 0s drops them at once.]:value:_files' \
      '--local-socket=[Socket on which clients of this machine read usage without TLS and without rights in the cluster  its file (mode 0660, group toplet) says who may (default  toplet.sock in $RUNTIME_DIRECTORY or /run/toplet, where that exists; empty  none).]:value:_files' \
      '--history=[Time for which CPU and memory of each node and container are kept for the status page, in 16 MiB at most for containers; 0s keeps none.]:value:_files' \
      '--usage-metrics[Serve the usage of nodes and containers at /metrics/usage, for Prometheus.]' \
      '--state-dir=[Directory for files kept between runs (default  $STATE_DIRECTORY, else none).]:value:_files' \
      '--forget-pin=[With toplet doctor  forget the pinned key of this node (--kubelet-pin) instead of checking.]:value:_files' \
      '--output=[Form of the report of toplet doctor  text or json (default  text).]:value:(text json)' '-o[Form of the report of toplet doctor  text or json (default  text).]:value:(text json)' \
      '--help[Print this text.]' '-h[Print this text.]' \
      '--kubeconfig=[Path to the kubeconfig for the API server and the kubelets (default  in-cluster, then k3s’s, then host-only).]:value:_files' \
      '--metric-resolution=[Time between two scrapes of a node, at least 10s (1m0s if --kubelet-request-timeout alone asks for more).]:value:_files' \
      '--version[Print the version.]' \
      '--advertise-address=[With toplet setup and toplet manifest host  the address of this node that the API server reaches.]:value:_files' \
      '--max-requests-inflight=[Requests answered at a time; further ones get 429.]:value:_files' \
      '--request-timeout=[Longest time an answer may take; more than 1m0s counts as that.]:value:_files' \
      '--shutdown-delay-duration=[Time to go on serving, not ready, after the signal to stop (in a pod  2s).]:value:_files' \
      '--deprecated-kubelet-completely-insecure[DEPRECATED  ask kubelets over plain HTTP, without credentials.]' \
      '--kubelet-certificate-authority=[CA file that signs kubelet serving certificates (default  the API server’s).]:value:_files' \
      '--kubelet-client-certificate=[Client certificate file for kubelets.]:value:_files' \
      '--kubelet-client-key=[Its key file.]:value:_files' \
      '--kubelet-gzip[Ask kubelets for compressed answers  a tenth of the bytes, for CPU time of both machines. For slow links.]' \
      '--kubelet-insecure-tls[Do not verify kubelet certificates. For tests only.]' \
      '--kubelet-pin[Trust the key that each kubelet shows first, remember it in --state-dir, and refuse another one; certificates are not verified.]' \
      '--kubelet-port=[Port of the kubelets.]:value:_files' \
      '--kubelet-preferred-address-types=[Order in which the addresses of a node are considered.]:value:_files' \
      '--kubelet-request-timeout=[Longest time one scrape may take.]:value:_files' \
      '--kubelet-use-node-status-port[Use the port of the node’s status; --kubelet-port where it has none.]' \
      '--kubelet-via-apiserver[Ask kubelets through the API server’s node proxy, where only the API server reaches them; needs get on nodes/proxy.]' \
      '--node-selector=[Label selector  only nodes that match are scraped and served.]:value:_files' '-l[Label selector  only nodes that match are scraped and served.]:value:_files' \
      '--bind-address=[Address to listen on; 0.0.0.0 and    mean every address of both families (host-only default  127.0.0.1).]:value:_files' \
      '--cert-dir=[Directory of apiserver.crt and apiserver.key  used if both can be read, else made there.]:value:_files' \
      '--permit-port-sharing[Set SO_REUSEPORT  several processes may listen on one port.]' \
      '--secure-port=[Port to listen on (host-only default  4443).]:value:_files' \
      '--tls-cert-file=[Certificate file, CA certificates after it; replaces --cert-dir.]:value:_files' \
      '--tls-cipher-suites=[TLS 1.2 cipher suites by their Go names (default  all that are served).]:value:_files' \
      '--tls-min-version=[VersionTLS12 or VersionTLS13; older versions are not served.]:value:(VersionTLS12 VersionTLS13)' \
      '--tls-private-key-file=[Key file of --tls-cert-file.]:value:_files' \
      '--tls-sni-cert-key=[`crt,key  domain,... `  another certificate for these names; repeatable.]:value:_files' \
      '--authentication-kubeconfig=[kubeconfig for TokenReviews and the authentication ConfigMap (default  --kubeconfig).]:value:_files' \
      '--authentication-skip-lookup[Do not read the authentication ConfigMap.]' \
      '--authentication-token-webhook-cache-ttl=[Time a TokenReview’s answer is kept.]:value:_files' \
      '--authentication-tolerate-lookup-failure[Serve although the authentication ConfigMap cannot be read.]' \
      '--client-ca-file=[CA file of client certificates that identify a user (default  from the ConfigMap).]:value:_files' \
      '--requestheader-allowed-names=[Common names a front proxy may have; empty  any.]:value:_files' \
      '--requestheader-client-ca-file=[CA file of front proxies (default  from the ConfigMap).]:value:_files' \
      '--requestheader-extra-headers-prefix=[Prefixes of the front proxy’s extra headers.]:value:_files' \
      '--requestheader-group-headers=[The front proxy’s group headers.]:value:_files' \
      '--requestheader-uid-headers=[The front proxy’s UID headers.]:value:_files' \
      '--requestheader-username-headers=[The front proxy’s user headers.]:value:_files' \
      '--authorization-always-allow-paths=[Paths open to anyone, with any method; a trailing `*` matches any end.]:value:_files' \
      '--authorization-kubeconfig=[kubeconfig for SubjectAccessReviews (default  --kubeconfig).]:value:_files' \
      '--authorization-webhook-cache-authorized-ttl=[Time a granting review is kept.]:value:_files' \
      '--authorization-webhook-cache-unauthorized-ttl=[Time a refusing review is kept.]:value:_files' \
      '--logging-format=[`text` or `json`.]:value:(text json)' \
      '--v=[Verbosity  0 what changes, 2 what is done, 6 everything.]:value:_files' '-v[Verbosity  0 what changes, 2 what is done, 6 everything.]:value:_files' ;;
    manifest) _arguments -s '1:command:' '2::argument:(deployment static-pod host rbac doctor-rbac)' \
      '--help[Print this text.]' '-h[Print this text.]' \
      '--advertise-address=[With toplet setup and toplet manifest host  the address of this node that the API server reaches.]:value:_files' ;;
    setup) _arguments -s '1:command:' '2::argument:' \
      '--dry-run[With toplet setup  change nothing, and print what would be made.]' \
      '--undo[With toplet setup  remove what it made, and nothing else.]' \
      '--replace[With toplet setup  delete objects and replace files in its way that it did not make, such as metrics-server’s.]' \
      '--no-start[With toplet setup  leave the service to be started later.]' \
      '--root=[With toplet setup  directory to find and write files below, for images; nothing is started.]:value:_files' \
      '--help[Print this text.]' '-h[Print this text.]' \
      '--kubeconfig=[Path to the kubeconfig for the API server and the kubelets (default  in-cluster, then k3s’s, then host-only).]:value:_files' \
      '--advertise-address=[With toplet setup and toplet manifest host  the address of this node that the API server reaches.]:value:_files' ;;
    top) _arguments -s '1:command:' '2::argument:(node pod)' \
      '--all-namespaces[Pods of every namespace.]' '-A[Pods of every namespace.]' \
      '--containers[A line for each container of a pod.]' \
      '--field-selector=[Pods whose fields match, such as metadata.name=web or spec.nodeName=edge.]:value:_files' \
      '--namespace=[Pods of this namespace.]:value:_files' '-n[Pods of this namespace.]:value:_files' \
      '--no-headers[No line of column names.]' \
      '--output=[Form  table, wide (with the age of each sample), json or yaml (as the Metrics API answers).]:value:(table wide json yaml)' '-o[Form  table, wide (with the age of each sample), json or yaml (as the Metrics API answers).]:value:(table wide json yaml)' \
      '--selector=[Label selector.]:value:_files' '-l[Label selector.]:value:_files' \
      '--show-swap[Swap as well.]' \
      '--sort-by=[cpu or memory; else by name.]:value:(cpu memory)' \
      '--sum[A last line with the sum of all pods.]' \
      '--local-socket=[Socket of the toplet to ask, which needs no certificate and no rights in the cluster.]:value:_files' \
      '--server=[Ask this server instead, https //HOST PORT  a toplet, or an API server.]:value:_files' '-s[Ask this server instead, https //HOST PORT  a toplet, or an API server.]:value:_files' \
      '--kubeconfig=[Ask its API server, or --server with its credentials.]:value:_files' \
      '--certificate-authority=[CA file of --server.]:value:_files' \
      '--insecure-skip-tls-verify[Do not verify the server’s certificate.]' \
      '--watch[A live screen (q quits; c, m and n sort by CPU, memory and name; arrows, j and k scroll); without a terminal the table again and again.]' '-w[A live screen (q quits; c, m and n sort by CPU, memory and name; arrows, j and k scroll); without a terminal the table again and again.]' \
      '--help[Print this text.]' '-h[Print this text.]' ;;
    completion) _arguments -s '1:command:' '2::argument:(bash zsh fish)' \
      '--help[Print this text.]' '-h[Print this text.]' ;;
    *) _arguments -s \
      '--config=[File of flags, one a line; lines that start with `#` are comments. The command line wins.]:value:_files' \
      '--host-only[Serve this machine alone, whatever cluster is configured.]' \
      '--max-nodes=[Nodes that room is reserved for; nodes beyond are refused and named in the log.]:value:_files' \
      '--max-pods=[Pods that room is reserved for.]:value:_files' \
      '--max-containers=[Containers that room is reserved for; a pod beyond is refused.]:value:_files' \
      '--max-connections=[Connections served at a time; one more is closed at once.]:value:_files' \
      '--grace-period=[Time for which the last figures of a node that cannot be scraped stay, with their own time (twice --metric-resolution and 30s unless given); 0s drops them at once.]:value:_files' \
      '--local-socket=[Socket on which clients of this machine read usage without TLS and without rights in the cluster  its file (mode 0660, group toplet) says who may (default  toplet.sock in $RUNTIME_DIRECTORY or /run/toplet, where that exists; empty  none).]:value:_files' \
      '--history=[Time for which CPU and memory of each node and container are kept for the status page, in 16 MiB at most for containers; 0s keeps none.]:value:_files' \
      '--usage-metrics[Serve the usage of nodes and containers at /metrics/usage, for Prometheus.]' \
      '--state-dir=[Directory for files kept between runs (default  $STATE_DIRECTORY, else none).]:value:_files' \
      '--help[Print this text.]' '-h[Print this text.]' \
      '--kubeconfig=[Path to the kubeconfig for the API server and the kubelets (default  in-cluster, then k3s’s, then host-only).]:value:_files' \
      '--metric-resolution=[Time between two scrapes of a node, at least 10s (1m0s if --kubelet-request-timeout alone asks for more).]:value:_files' \
      '--version[Print the version.]' \
      '--advertise-address=[With toplet setup and toplet manifest host  the address of this node that the API server reaches.]:value:_files' \
      '--max-requests-inflight=[Requests answered at a time; further ones get 429.]:value:_files' \
      '--request-timeout=[Longest time an answer may take; more than 1m0s counts as that.]:value:_files' \
      '--shutdown-delay-duration=[Time to go on serving, not ready, after the signal to stop (in a pod  2s).]:value:_files' \
      '--deprecated-kubelet-completely-insecure[DEPRECATED  ask kubelets over plain HTTP, without credentials.]' \
      '--kubelet-certificate-authority=[CA file that signs kubelet serving certificates (default  the API server’s).]:value:_files' \
      '--kubelet-client-certificate=[Client certificate file for kubelets.]:value:_files' \
      '--kubelet-client-key=[Its key file.]:value:_files' \
      '--kubelet-gzip[Ask kubelets for compressed answers  a tenth of the bytes, for CPU time of both machines. For slow links.]' \
      '--kubelet-insecure-tls[Do not verify kubelet certificates. For tests only.]' \
      '--kubelet-pin[Trust the key that each kubelet shows first, remember it in --state-dir, and refuse another one; certificates are not verified.]' \
      '--kubelet-port=[Port of the kubelets.]:value:_files' \
      '--kubelet-preferred-address-types=[Order in which the addresses of a node are considered.]:value:_files' \
      '--kubelet-request-timeout=[Longest time one scrape may take.]:value:_files' \
      '--kubelet-use-node-status-port[Use the port of the node’s status; --kubelet-port where it has none.]' \
      '--kubelet-via-apiserver[Ask kubelets through the API server’s node proxy, where only the API server reaches them; needs get on nodes/proxy.]' \
      '--node-selector=[Label selector  only nodes that match are scraped and served.]:value:_files' '-l[Label selector  only nodes that match are scraped and served.]:value:_files' \
      '--bind-address=[Address to listen on; 0.0.0.0 and    mean every address of both families (host-only default  127.0.0.1).]:value:_files' \
      '--cert-dir=[Directory of apiserver.crt and apiserver.key  used if both can be read, else made there.]:value:_files' \
      '--permit-port-sharing[Set SO_REUSEPORT  several processes may listen on one port.]' \
      '--secure-port=[Port to listen on (host-only default  4443).]:value:_files' \
      '--tls-cert-file=[Certificate file, CA certificates after it; replaces --cert-dir.]:value:_files' \
      '--tls-cipher-suites=[TLS 1.2 cipher suites by their Go names (default  all that are served).]:value:_files' \
      '--tls-min-version=[VersionTLS12 or VersionTLS13; older versions are not served.]:value:(VersionTLS12 VersionTLS13)' \
      '--tls-private-key-file=[Key file of --tls-cert-file.]:value:_files' \
      '--tls-sni-cert-key=[`crt,key  domain,... `  another certificate for these names; repeatable.]:value:_files' \
      '--authentication-kubeconfig=[kubeconfig for TokenReviews and the authentication ConfigMap (default  --kubeconfig).]:value:_files' \
      '--authentication-skip-lookup[Do not read the authentication ConfigMap.]' \
      '--authentication-token-webhook-cache-ttl=[Time a TokenReview’s answer is kept.]:value:_files' \
      '--authentication-tolerate-lookup-failure[Serve although the authentication ConfigMap cannot be read.]' \
      '--client-ca-file=[CA file of client certificates that identify a user (default  from the ConfigMap).]:value:_files' \
      '--requestheader-allowed-names=[Common names a front proxy may have; empty  any.]:value:_files' \
      '--requestheader-client-ca-file=[CA file of front proxies (default  from the ConfigMap).]:value:_files' \
      '--requestheader-extra-headers-prefix=[Prefixes of the front proxy’s extra headers.]:value:_files' \
      '--requestheader-group-headers=[The front proxy’s group headers.]:value:_files' \
      '--requestheader-uid-headers=[The front proxy’s UID headers.]:value:_files' \
      '--requestheader-username-headers=[The front proxy’s user headers.]:value:_files' \
      '--authorization-always-allow-paths=[Paths open to anyone, with any method; a trailing `*` matches any end.]:value:_files' \
      '--authorization-kubeconfig=[kubeconfig for SubjectAccessReviews (default  --kubeconfig).]:value:_files' \
      '--authorization-webhook-cache-authorized-ttl=[Time a granting review is kept.]:value:_files' \
      '--authorization-webhook-cache-unauthorized-ttl=[Time a refusing review is kept.]:value:_files' \
      '--logging-format=[`text` or `json`.]:value:(text json)' \
      '--v=[Verbosity  0 what changes, 2 what is done, 6 everything.]:value:_files' '-v[Verbosity  0 what changes, 2 what is done, 6 everything.]:value:_files' ;;
  esac
}
_toplet "$@"
