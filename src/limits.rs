//! Every maximum of the program: its unit, why it is that large, and what happens beyond it.
//!
//! Nothing else in the program holds a bare number that bounds memory, time or count. Where a flag can raise a limit,
//! the constant here is the flag's default. Beyond a limit something is refused, counted and said once; nothing grows.

use crate::units::Window;
use std::time::Duration;

// ---- wire: bytes from kubelets and the API server -------------------------------------------------------------------

/// Bytes of one line of an exposition. Three Kubernetes names make 380; a HELP text is shorter still. A longer line is
/// dropped and counted.
pub const EXPOSITION_LINE_LEN_MAX: usize = 4 * 1024;

/// Bytes of the node or of one pod in a Summary: more than 100 containers, each of some 500 bytes as it is asked for. A larger
/// one is dropped and counted.
pub const SUMMARY_OBJECT_LEN_MAX: usize = 64 * 1024;

/// Bytes of one Kubernetes object: what etcd takes at most (1.5 MiB), with room. In a list a larger object is skipped
/// and counted; in a watch it ends the stream.
pub const OBJECT_LEN_MAX: usize = 2 * 1024 * 1024;

/// Bytes of scratch for objects cut by a piece's end that are kept; what a rare larger object took is given back.
pub const OBJECT_SCRATCH_LEN_KEPT: usize = 32 * 1024;

/// Bytes of a client's text that a message repeats; the rest is left out, so that a refusal is small however large the
/// request is.
pub const QUOTED_LEN_MAX: usize = 200;

// ---- store: the sample table ----------------------------------------------------------------------------------------

/// Containers one node may report: 16 times a kubelet's default of 110 pods with four containers each. A node with
/// more is refused as a whole: its answer is not a kubelet's.
pub const NODE_CONTAINERS_MAX: usize = 8 * 1024;

/// Shortest time between two samples whose times are whole seconds, so that the rate between them is at most an eighth off.
/// An earlier sample is left out.
pub const WHOLE_SECONDS_WINDOW_MIN: Window = Window::from_secs(8);

/// What the default of `--grace-period` adds to two resolutions: a kubelet restarts within that time.
pub const GRACE_BEYOND_ROUNDS: Duration = Duration::from_secs(30);

/// Age of points of an earlier run up to which a rate is taken from them: a longer window says little of the present.
pub const SNAPSHOT_AGE_MAX: Window = Window::from_secs(300);

/// Time between two writings of the points to the state directory.
pub const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(60);

/// Bytes of the file of points that are read at the start: 200 for each container of a full table, far above real ones.
pub const SNAPSHOT_LEN_MAX: u64 = 64 * 1024 * 1024;

/// Samples of each node and container that `--history` may come to, one for each resolution: six hours at 15 s. More is a
/// start-up error.
pub const HISTORY_SAMPLES_MAX: u32 = 1_440;

/// Bytes of the histories of containers, and of those of nodes: 67,000 of them with the default of 60 samples, below 3,000 with
/// the most samples. Rows beyond have no history; small clusters are within it, and large ones have a Prometheus.
pub const HISTORY_LEN_MAX: u64 = 16 * 1024 * 1024;

/// Instances of one container that a body may hold (the cgroups of old ones remained); with more its pod is left out.
pub const INSTANCES_MAX: usize = 4;

/// Pods of one node that its kubelet reports and the API server has not listed, once its list is complete: a kubelet
/// may be some scrapes ahead of the watch. Further ones are left out and counted. They never take room from listed pods.
pub const UNLISTED_PODS_MAX: u32 = 32;

/// Containers of those pods together.
pub const UNLISTED_CONTAINERS_MAX: u32 = 128;

/// Instances that were not taken of containers that stand several times in a body, all nodes together; they are
/// remembered so that no rate mixes two. A pod beyond is left out.
pub const REJECTED_INSTANCES_MAX: usize = 256;

/// Bytes of labels one node may report, as kubelets write them: 128 for each container. Beyond it the node is refused as a whole.
pub const NODE_TEXT_LEN_MAX: usize = 1024 * 1024;

/// Containers of a node that each thread has room for by itself: some more than a kubelet's default of 110 pods has.
pub const BATCH_CONTAINERS_OWN: usize = 512;
/// Bytes of their labels.
pub const BATCH_TEXT_LEN_OWN: usize = 64 * 1024;
/// Larger nodes that are read at a time. A thread that comes upon another waits, within the time of its request.
pub const LARGE_BATCHES_MAX: usize = 2;
/// Bytes of a larger node: labels, and 88 for each container.
pub const LARGE_BATCH_LEN: usize = NODE_TEXT_LEN_MAX + 88 * NODE_CONTAINERS_MAX;

/// Bytes of freed text that are left in place in a small arena. Beyond this, and beyond the bytes in use, the texts in
/// use are moved together, so that churn does not touch more and more of the reserved space.
pub const TEXT_DEAD_LEN_MAX: usize = 16 * 1024;

/// Bytes of scratch for one label set that are kept; what a rare larger set took is given back.
pub const LABELS_SCRATCH_LEN_KEPT: usize = 4 * 1024;

// ---- api: requests and answers --------------------------------------------------------------------------------------

/// Bytes of one piece of an answer's body: one TLS record. A list is encoded piece by piece, resumed by key.
pub const CHUNK_LEN_MAX: usize = 16 * 1024;
/// Nodes with series of their own in the self metrics (some 150 bytes each): as many as metrics-server was tested with.
/// Scrapes of further nodes count in the totals only.
pub const SELF_METRICS_NODES_MAX: usize = 5_000;
/// Different reasons (or outcomes) counted under one self metric; they are words of the source, so this is never met.
pub const SELF_METRICS_REASONS_MAX: usize = 16;
/// Failing nodes whose failure is explained under `/readyz/nodes`; of further ones the reason alone is kept.
pub const EXPLAINED_NODES_MAX: usize = 32;
/// Letters of such an explanation; with the names all of them stay near one piece of an answer.
pub const EXPLAINED_LEN_MAX: usize = 600;
/// Bytes of a node name, as Kubernetes limits it (RFC 1123 subdomain). Longer ones get no series.
pub const NODE_NAME_LEN_MAX: usize = 253;
/// Bytes of one part of a generated document or of the self-metrics page: parts are added to a piece while it has room.
pub const PART_LEN_MAX: usize = 8 * 1024;
/// Nodes on the status page; those that fail come first, then those that use most CPU. The page holds their names.
pub const STATUS_NODES_MAX: usize = 100;
/// Pods on the status page, those that use most CPU.
pub const STATUS_PODS_MAX: usize = 50;
/// Bytes of one text on the status page; the rest is left out. Escaped, all texts of a row are shorter than a part.
pub const STATUS_TEXT_LEN_MAX: usize = 700;
/// Seconds after which the status page may load again at the least.
pub const STATUS_REFRESH_SECS_MIN: u64 = 5;
/// Time a request may take, as in metrics-server; `?timeout=` can only shorten it. Beyond it: 504.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// Time below which no answer can be ready: such a `?timeout=` is answered 504 at once.
pub const REQUEST_TIME_MIN: Duration = Duration::from_micros(10);
/// Bytes of an error's message: what clients sent is in it at most a few times, and an authorizer's reason once.
pub const STATUS_MESSAGE_LEN_MAX: usize = 1024;
/// Objects and terms of selectors that are looked at for one piece of a list, under one lock: a tenth of a millisecond.
/// Then others have their turn, the request's deadline is checked, and the list goes on.
pub const LIST_WORK_MAX: u32 = 4 * 1024;
/// Bytes of one selector: a few thousand names. Beyond it: 400.
pub const SELECTOR_LEN_MAX: usize = 64 * 1024;
/// Requirements and values of one selector, each an allocation and work for each label set.
/// Deviation: a selector with more terms is refused with 400; longer ones held up everybody else.
pub const SELECTOR_TERMS_MAX: usize = 1024;

// ---- access: identities, reviews and their caches -------------------------------------------------------------------

/// Certificates of one CA bundle: clusters rotate with two or three. A larger bundle is refused with its reason, and the
/// one in force stays.
pub const CA_COUNT_MAX: usize = 64;

/// Certificates after the leaf that are looked at when a peer's chain is verified: real chains have at most three.
/// Further ones are ignored, so that a long chain costs a peer's bytes and not our time.
pub const INTERMEDIATE_COUNT_MAX: usize = 8;

/// Seconds for which the outcome of verifying a connection's certificates is kept, at most: a wall clock that jumps
/// (boards without a battery) is noticed within this time. Beyond it the chain is verified again.
pub const PEER_MEMO_SECS_MAX: i64 = 60;

/// Bytes of request-controlled text up to which the verdict on a request is remembered (metrics-server's figure). Beyond
/// it each request is reviewed.
pub const CACHEABLE_LEN_MAX: usize = 10_000;

/// Remembered verdicts. metrics-server keeps 8192; within the 10 s they live a small cluster asks some dozens of
/// different questions, and 256 keep the memory near 64 KiB and the search in one pass over 4 KiB of keys. Beyond it
/// the one that was used longest ago goes.
pub const VERDICT_COUNT_MAX: usize = 256;

/// Bytes of all remembered verdicts together (names and groups of token owners, reasons of denials). Beyond it the ones
/// that were used longest ago go.
pub const VERDICT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of one verdict: the owner of a token may be in hundreds of groups. A larger one is not remembered.
pub const VERDICT_LEN_MAX: usize = 32 * 1024;

/// Different reviews in flight, at most half of them for unauthenticated callers (unknown tokens, anonymous requests).
/// Beyond it a request that needs a new one is answered with 429.
pub const REVIEW_COUNT_MAX: usize = 64;

/// Bytes of all tokens and questions under review, at most half of them for unauthenticated callers; they stay until the
/// API server answers, however long ago their callers left. The largest head fits. Beyond it 429, as above.
pub const REVIEW_BYTES_MAX: usize = 2 * HEAD_LEN_MAX;

/// Copies of a question while it is asked: its own, quoted, in the document, and in the bytes that are sent.
pub const REVIEW_COPIES: usize = 4;

/// Tokens that were valid once and are still given the places of authenticated callers: 4 KiB of hashes. Beyond it the
/// one that was reviewed longest ago counts as unknown.
pub const KNOWN_TOKEN_COUNT_MAX: usize = 256;

/// Requests that wait for reviews, all together. Beyond it those whose clients left go, and if there are none a request that
/// would join a review is answered with 429.
pub const REVIEW_WAITER_COUNT_MAX: usize = 1024;

/// Seconds after which a review that never came back is asked again. Its own deadline is far below.
pub const REVIEW_SECS_MAX: u64 = 60;

/// Seconds after its expiry for which a verdict still counts while reviews fail: a single API server restarts or
/// upgrades in 20 to 40 s, and the right to read usage is not worth an outage of its readers. A user who loses a right
/// while the API server is unreachable (or too many reviews are under way) keeps it for at most this long and the lifetime of the
/// verdict. Beyond it: 401 or 500.
pub const REVIEW_GRACE_SECS: u64 = 60;

// ---- net and poller: kubelets ---------------------------------------------------------------------------------------

/// Bytes read from an outgoing connection at once: the longest TLS record (16 KiB and its frame) must fit.
pub const FETCH_INPUT_LEN: usize = 18 * 1024;
/// Bytes of the head of an outgoing request: the longest line is a token.
pub const FETCH_OUTPUT_LEN: usize = 8 * 1024;
/// Bytes of an answer's head, or of a chunk's frame; a larger one is refused.
pub const ANSWER_HEAD_LEN_MAX: usize = 32 * 1024;
/// Bytes that TLS adds to a request: a record's frame for each 16 KiB.
pub const TLS_RECORD_EXTRA_LEN: usize = 64;
/// Time by which a read may end after its deadline, so that not every read has to set the socket's timeout.
pub const SOCKET_TIMEOUT_SLACK: Duration = Duration::from_millis(250);
/// Bytes read at once where a whole body is wanted.
pub const READ_ALL_PIECE_LEN: usize = 2 * 1024;
/// Time for a TCP connection: a dead node must not cost a whole scrape timeout.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for a name lookup, all its tries included.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// The same where another address of the node needs no lookup: many boards have no name server that knows their nodes, and
/// some have none that answers.
pub const LOOKUP_TIMEOUT_WITH_OTHERS: Duration = Duration::from_millis(300);
/// Time for one try of one name server; `timeout` in resolv.conf can only shorten it, so that a dead first server leaves
/// time for the second.
pub const DNS_TRY_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Name servers of resolv.conf that are asked, as in the C library; further ones are ignored.
pub const DNS_SERVERS_MAX: usize = 3;
/// Domains of the search list; further ones are ignored.
pub const DNS_SEARCH_MAX: usize = 32;
/// Names whose addresses are remembered; beyond it the one that expires first goes.
pub const DNS_CACHE_COUNT_MAX: usize = 256;
/// Shortest and longest time an address is remembered, whatever its record says.
pub const DNS_KEEP_MIN: Duration = Duration::from_secs(5);
/// See [`DNS_KEEP_MIN`].
pub const DNS_KEEP_MAX: Duration = Duration::from_secs(300);
/// Time for which lookups fail at once after no name server answered one.
pub const DNS_SILENCE_KEEP: Duration = Duration::from_secs(5);
/// Time after its end for which an answer still counts while name servers do not answer (RFC 8767 proposes one to three days).
pub const DNS_STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Bytes of a datagram: without EDNS it has at most 512. What is longer is malformed and ignored.
pub const DNS_BUFFER_LEN: usize = 2 * 1024;
/// Bytes read of resolv.conf; what follows is ignored.
pub const RESOLV_CONF_LEN_MAX: u64 = 64 * 1024;
/// Bytes read of the hosts file (lists of blocked names have megabytes); what follows is ignored.
pub const HOSTS_LEN_MAX: u64 = 16 * 1024 * 1024;
/// Addresses of one name that are tried ; further ones are ignored.
pub const ADDRESSES_MAX: usize = 16;
/// Idle connections kept for one peer: the threads that ask the API server reviews, each its own.
pub const IDLE_CONNECTIONS_MAX: usize = REVIEWERS_MAX;
/// Time a connection may be unused; kubelets close theirs after 90 s.
pub const IDLE_CONNECTION_AGE_MAX: Duration = Duration::from_secs(80);
/// Silence after which the kernel probes a connection, the time between probes, and how many may stay unanswered: a
/// peer that lost power is noticed within a minute.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_PROBES: u32 = 3;
/// Bytes of a token, key, certificate or bundle file; a larger one is refused.
pub const CREDENTIAL_LEN_MAX: usize = 1024 * 1024;
/// Age at which a token file is read again; Kubernetes rotates it long before the old token expires.
pub const TOKEN_AGE_MAX: Duration = Duration::from_secs(60);
/// Time between two looks at certificate files, those that are served and those that are presented.
pub const CREDENTIAL_LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Time for the head of a watch's answer, and for its TLS handshake.
pub const WATCH_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest life of a watch: twice [`WATCH_SECS_MIN`] and some grace, after which its server must hang.
pub const WATCH_LIFE_MAX: Duration = Duration::from_secs(660);
/// The longest `Retry-After` that is honoured.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Letters of foreign text that a log line or an error text repeats.
pub const LOGGED_LEN_MAX: usize = 200;
/// Problems remembered so that each is logged once, for one part of the program; further ones are not logged. 40 bytes each.
pub const LOGGED_STATES_MAX: usize = 1_024;
/// Bytes of one pinned key, in its file (fingerprint and name of a node) and in memory.
pub const PIN_LEN: u64 = 320;
/// Bytes of one kubelet's answer: some ten thousand containers. Beyond it the scrape fails.
pub const KUBELET_BODY_LEN_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of a kubelet's answer decoded at a time.
pub const KUBELET_PIECE_LEN: usize = 8 * 1024;
/// Time after which a kubelet that is read through its Summary API is asked for its resource metrics again: it may have been
/// replaced by a newer one. Costs one request that is answered 404.
pub const RESOURCE_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// The same after the connection to it was lost, as by its restart.
pub const RESOURCE_RETRY_AFTER_RECONNECT: Duration = Duration::from_secs(60);
/// Bytes of a scrape under way: a stack, buffers of TLS and HTTP, inflating, and a batch of its own.
pub const SCRAPE_LEN: usize = 256 * 1024;
/// Threads that scrape at once, however slow the nodes are.
pub const SCRAPERS_MAX: usize = 16;
/// Time after which a scrape under way counts as hanging: another thread then goes on with the other nodes.
pub const STALLED_AFTER: Duration = Duration::from_millis(500);
/// The same for a node that was never read: at the start nobody knows which nodes are slow or dead, and those that are
/// hold the others up for this long each.
pub const FIRST_STALLED_AFTER: Duration = Duration::from_millis(100);
/// Time between the first two scrapes of a node: container samples are taken at scrape time, so pods have a rate then.
pub const SECOND_SCRAPE_AFTER: Duration = Duration::from_secs(2);
/// Times from the first scrape of a node to further ones, until its own sample has advanced: that moves every 10 s, so that
/// the last of them must see it, and the one before often does.
pub const YOUNG_SCRAPES_AFTER: [Duration; 3] =
    [SECOND_SCRAPE_AFTER, Duration::from_secs(6), Duration::from_millis(10_500)];
/// Failures of a node that was never read before it is tried only once a round.
pub const EARLY_TRIES: u32 = 3;
/// What the first scrape of a node is expected to take: a handshake on a small board.
pub const FIRST_SCRAPE_EXPECTED: Duration = Duration::from_millis(50);
/// Part of a failing node's wait that is added by chance, at most.
pub const BACKOFF_JITTER: f64 = 0.2;
/// Reasons of failed scrapes that an unreachable API server may be the cause of: kubelets ask it about tokens and rights.
pub const REASONS_OF_API_SERVER: [&str; 3] = ["unauthorized", "forbidden", "status"];
/// Part of the time that goes into taking over node lists, at most: one in so many. A change within that time waits.
pub const INVENTORY_SHARE: u32 = 100;
/// The longest time a failing node is left alone (or the resolution, when that is longer).
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);

// ---- cluster: the API server ----------------------------------------------------------------------------------------

/// Bytes of one list of the API server. Lists pass through one object at a time, so this bounds nonsense, not memory.
pub const API_BODY_LEN_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes of a list or watch decoded at a time, under one lock of the store.
pub const API_PIECE_LEN: usize = 8 * 1024;
/// Objects of one page, where the API server pages.
pub const LIST_PAGE_COUNT: u32 = 500;
/// Time for one page of a list, on a slow machine with thousands of pods.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(60);
/// Shortest life of a watch; up to as much again is added by chance, so that watches do not all end at once.
pub const WATCH_SECS_MIN: u32 = 120;
/// Without an event or a bookmark for so long (the API server sends bookmarks each minute) a watch is ended and
/// the inventory listed again.
pub const WATCH_SILENCE_MAX: Duration = Duration::from_secs(180);
/// After so long of nothing but 401 from the API server our credentials count as refused: `/readyz` says so, and a credential
/// that only a restart renews ends the process.
pub const UNAUTHORIZED_TIME_MAX: Duration = Duration::from_secs(60);
/// Pods of a manifest: each reads every kubelet and answers for all.
pub const REPLICAS_MAX: u32 = 10;
/// Time between two lists that are made because room came back for objects that the store had refused.
pub const ROOM_LIST_INTERVAL: Duration = Duration::from_secs(30);
/// A watch shorter than this without an event counts as a failure.
pub const WATCH_SHORT: Duration = Duration::from_secs(1);
/// First and longest wait after failed lists and watches, doubled in between; up to as much again is added by chance.
pub const WATCH_BACKOFF_FIRST: Duration = Duration::from_millis(800);
/// See [`WATCH_BACKOFF_FIRST`].
pub const WATCH_BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Failures of a watch in a row, without an event, that lead to a new list: its version may be the trouble.
pub const WATCH_FAILURES_MAX: u32 = 3;
/// Bytes of a refusal's body that are read for its message.
pub const REFUSAL_LEN_MAX: usize = 4 * 1024;
/// Bytes of a review's answer or of the authentication ConfigMap: an identity with thousands of groups fits.
pub const REVIEW_LEN_MAX: u64 = 1024 * 1024;
/// Reviews waiting for a thread; one more is answered as failed at once.
pub const REVIEW_QUEUE_COUNT: usize = 64;
/// Time for a review, from the question to the verdict, retries and waiting included.
pub const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);
/// Threads that ask reviews at once: a slow one (a token webhook) must not hold up all others. All but one end when
/// there is nothing to ask.
pub const REVIEWERS_MAX: usize = 4;
/// First wait before a review is asked again, 1.5 times longer each time, a fifth of it by chance.
pub const REVIEW_RETRY_FIRST: Duration = Duration::from_millis(500);
/// Times a review is asked at most.
pub const REVIEW_TRIES_MAX: u32 = 5;
/// Time between two looks at the authentication ConfigMap and the CA files: a rotated CA counts within a minute.
pub const TRUST_INTERVAL: Duration = Duration::from_secs(30);
/// Time for which a request with a client certificate waits for the first look at that ConfigMap; the aggregator waits for 5 s.
pub const FIRST_LOOKUP_TIME_MAX: Duration = Duration::from_secs(2);
/// Time between two looks at whether it has ended.
pub const FIRST_LOOKUP_PAUSE: Duration = Duration::from_millis(10);

// ---- serve: connections ---------------------------------------------------------------------------------------------

/// Connections at once from their first byte on (default of the cap), those on the local socket included. Each costs about 11 KiB at rest, so 1.4 MiB when all
/// are open. When full, another connection makes room (see `serve::room`), or the new one waits.
pub const CONNECTIONS_MAX: usize = 128;
/// Connections at once that have not sent a byte or wait for a place: a socket and less than 1 KiB each. Beyond it the
/// longest waiting one of the peer with the most of these is closed.
pub const SILENT_CONNECTIONS_MAX: usize = 1024;
/// Requests at once beyond authorization (`--max-requests-inflight`); further ones get 429, `system:masters` excepted.
pub const REQUESTS_MAX: usize = 400;
/// Time for the TLS handshake in all; then the connection is closed.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Time for a request's head in all, from its first byte; metrics-server's `ReadHeaderTimeout`.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(32);
/// Time between requests; the aggregator closes its idle connections after 90 s itself.
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(90);
/// Time in which the peer must take one piece of an answer (16 KiB).
pub const PIECE_TIME_MAX: Duration = Duration::from_secs(20);
/// Time in which the peer must take the whole answer; the aggregator gives up after 60 s.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);
/// Time for which the receiving side of a connection stays open after its last answer, so that the peer can read it.
pub const LINGER_TIME_MAX: Duration = Duration::from_millis(500);
/// Time for requests in flight after the listener closed; then they are cut (metrics-server's 60 s).
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(60);
/// Age from which a connection that has not sent its first request makes room for a new one.
pub const WAITING_TIME_MIN: Duration = Duration::from_secs(1);
/// Age of an answer from which its connection makes room for a new one, when no other can.
pub const ANSWERING_TIME_MIN: Duration = Duration::from_secs(2);
/// Time for which a stopping process keeps connections without a request: one may be on its way.
pub const DRAIN_QUIET_TIME: Duration = Duration::from_millis(500);
/// Time between two looks for connections over their deadline; a deadline is late by that much at most.
pub const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// The same while all connections are idle, to wake seldom.
pub const SWEEP_PERIOD_QUIET: Duration = Duration::from_secs(5);
/// Time between two looks whether the last connection ended while stopping.
pub const DRAIN_CHECK_PERIOD: Duration = Duration::from_millis(20);
/// Pause after the operating system refused a connection (out of descriptors), so that the loop does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of a request head: a user in 4,000 groups, or a token of 200 KiB. Beyond it 431.
/// Deviation: metrics-server takes heads of 1 MiB.
pub const HEAD_LEN_MAX: usize = 256 * 1024;
/// Bytes of a request target: the largest selector with its escapes. Beyond it 414.
pub const TARGET_LEN_MAX: usize = 96 * 1024;
/// Bytes of a head (and of parsed header lines) that each connection may use on its own account.
pub const HEAD_LEN_OWN: usize = 4 * 1024;
/// Bytes that all connections together may use beyond `HEAD_LEN_OWN` each, for heads, what is parsed of them, and answers
/// beyond one piece; when they are used up, 431 or 503.
pub const HEAD_LEN_SHARED: usize = 512 * 1024;
/// Header lines of one request; a user in 1000 groups has about 1020. Beyond it 431.
pub const HEADER_COUNT_MAX: usize = 4096;
/// Bytes of an answer that the kernel holds for a connection (it doubles the figure for its own use); more waits here, as
/// the rest of a list that is not encoded yet.
pub const SEND_BUFFER_LEN: usize = 64 * 1024;
/// Bytes of the read buffer that an idle connection keeps.
pub const READ_LEN_IDLE: usize = 512;
/// Bytes that are read and dropped after an answer that ends its connection, such as the body of its request; beyond them
/// the connection is reset.
pub const LINGER_LEN_MAX: usize = 256 * 1024;
/// Bytes of an Audit-Id that is echoed; a longer one is replaced.
pub const AUDIT_ID_LEN_MAX: usize = 1024;

/// TLS sessions kept for resumption; the oldest goes first.
pub const TLS_SESSIONS_MAX: usize = 32;
/// Bytes of one kept session, the client's chain included; a larger one is not kept, its client handshakes in full.
pub const TLS_SESSION_LEN_MAX: usize = 4 * 1024;
/// Bytes of a client's certificate chain; a larger one fails the handshake.
pub const CLIENT_CHAIN_LEN_MAX: usize = 16 * 1024;
/// Bytes of plaintext that TLS may queue for a slow reader: one record.
pub const TLS_QUEUE_LEN_MAX: usize = 17 * 1024;
/// Life of certificates made here; well below the 825 days some clients accept at most.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Life of the certificate authority made here: a `caBundle` stays valid for that long.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Rest of a certificate's life at which it is renewed.
pub const CERTIFICATE_RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

// ---- cli and host ---------------------------------------------------------------------------------------------------

/// Time for one request of `toplet doctor` that is not a scrape.
pub const DOCTOR_STEP_TIME_MAX: Duration = Duration::from_secs(5);
/// Time in which `toplet doctor` begins to ask nodes; those left then are counted as skipped.
pub const DOCTOR_NODES_TIME_MAX: Duration = Duration::from_secs(60);
/// Time for one request of `toplet setup`: an API server that has just started is slow.
pub const SETUP_REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// Time in which Kubernetes has to fill in the token of a new Secret.
pub const SETUP_TOKEN_TIME_MAX: Duration = Duration::from_secs(90);
/// Time in which a service that was started has to answer on its port.
pub const SETUP_START_TIME_MAX: Duration = Duration::from_secs(30);
/// Time in which the API server has to find the service available, and the node's usage has to be served through it: the
/// second sample comes after a resolution, and the API server looks every 30 seconds.
pub const SETUP_SERVED_TIME_MAX: Duration = Duration::from_secs(120);
/// Time between two looks of `toplet setup` at what it waits for.
pub const SETUP_LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Bytes of one answer that `toplet top` reads: some hundred thousand pods.
pub const TOP_ANSWER_LEN_MAX: u64 = 256 * 1024 * 1024;
/// Values that `toplet top --watch` remembers of each line for its sparkline, one a refresh.
pub const TOP_TRACE_LEN_MAX: usize = 64;
/// Lines that it remembers values of; further ones have no sparkline.
pub const TOP_TRACES_MAX: usize = 4_096;
/// Shortest and longest time between two refreshes; between them the resolution decides, as far as samples show it.
pub const TOP_REFRESH_MIN: Duration = Duration::from_secs(2);
/// See [`TOP_REFRESH_MIN`].
pub const TOP_REFRESH_MAX: Duration = Duration::from_secs(60);
/// Time for one request of `toplet top`.
pub const TOP_REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// Nodes without usage whose reason `toplet top` prints; further ones are counted.
pub const TOP_REASONS_MAX: usize = 20;
/// Nodes that `toplet doctor` asks at once.
pub const DOCTOR_THREADS_MAX: usize = 8;
/// Nodes whose problems `toplet doctor` lists one by one, for each kind of check; further ones are counted.
pub const DOCTOR_PROBLEMS_MAX: usize = 20;
/// Letters of one message of `toplet doctor`; what is longer is cut.
pub const DOCTOR_TEXT_LEN_MAX: usize = 1_000;
/// Seconds by which a clock may be ahead of ours or behind it: more confuses timestamps of kubelets.
pub const CLOCK_SKEW_SECS_MAX: u64 = 10;

/// Bytes of a file of flags (`--config`): a longer one is a start-up error.
pub const FLAG_FILE_LEN_MAX: usize = 64 * 1024;

/// Most that `--max-nodes`, `--max-pods` and `--max-containers` may ask for: their address space must be there.
pub const NODES_MAX: u32 = 100_000;
/// See [`NODES_MAX`].
pub const PODS_MAX: u32 = 2_000_000;
/// See [`NODES_MAX`].
pub const CONTAINERS_MAX: u32 = 4_000_000;

/// Default of `--max-nodes`: beyond it a node is refused, counted and named in the log. The defaults are as large as the
/// largest clusters that Kubernetes supports; address space costs nothing where there are 64 bits of it.
pub const NODES_DEFAULT: u32 = if WIDE_ADDRESSES { 5_000 } else { 1_000 };

/// Default of `--max-pods`; as for nodes.
pub const PODS_DEFAULT: u32 = if WIDE_ADDRESSES { 150_000 } else { 20_000 };

/// Default of `--max-containers`: beyond it the pod is refused.
pub const CONTAINERS_DEFAULT: u32 = 2 * PODS_DEFAULT;

const WIDE_ADDRESSES: bool = usize::BITS >= 64;

/// Bytes of text reserved for each node: name, labels, addresses. Beyond the sum of all texts, a node or pod is refused.
pub const NODE_TEXT_LEN: u64 = 2048;

/// Bytes of text reserved for each pod: namespace, name, labels; equal texts are kept once.
pub const POD_TEXT_LEN: u64 = 256;

/// Bytes of text reserved for each container: its name; equal ones are kept once.
pub const CONTAINER_TEXT_LEN: u64 = 32;

/// Bytes a connection may hold at a time: in the handshake a client's chain in TLS buffers (64 KiB); later its own part of
/// a head and its lines, one piece of an answer with its framing, and a TLS record each way. At rest it is about 11 KiB.
pub const CONNECTION_LEN: u64 = 96 * 1024;

/// Bytes of everything that does not grow: touched program text, stacks, caches.
pub const PROGRAM_LEN: u64 = 4 * 1024 * 1024;

/// Bytes of one log line; what is longer is cut.
pub const LOG_LINE_LEN_MAX: usize = 4 * 1024;

/// Bytes of log lines that wait to be written; further lines are dropped and counted.
pub const LOG_QUEUE_LEN: usize = 64 * 1024;

/// Time for which the end of the process waits for its last log lines to be written.
pub const LOG_FLUSH_TIME_MAX: Duration = Duration::from_millis(500);

/// Bytes of a thread's stack; the deepest use is a TLS handshake with a kubelet, some 60 KiB (the debug build keeps more on
/// the stack). Untouched pages cost nothing; beyond it the guard page ends the process.
pub const THREAD_STACK_LEN: usize = if cfg!(debug_assertions) { 1024 * 1024 } else { 128 * 1024 };

/// Bytes at the lower end of a stack that are not given back: the C library keeps some of the stack's length for itself,
/// so that its end is not known exactly.
pub const STACK_SPARE_LEN: usize = 16 * 1024;

/// Shortest pause between two scrapes for which a thread gives its stack back: with many nodes they follow each other closely.
pub const STACK_KEPT_TIME: Duration = Duration::from_secs(1);

/// Bytes from which an allocation has a mapping of its own: parts of answers, TLS records, large heads and objects come and go,
/// and must leave no holes that small pieces then pin.
pub const HEAP_PIECE_LEN_MAX: usize = 16 * 1024;

/// Large pieces that are kept when they are freed, for the next one of their length: a scrape has three, a list one. They are
/// part of [`PROGRAM_LEN`].
pub const HEAP_SPARES_MAX: usize = 4;
/// Bytes of the largest piece that is kept.
pub const HEAP_SPARE_LEN_MAX: usize = 32 * 1024;

/// Bytes of address space between two segments of the heap: a page, which is never touched.
pub const HEAP_GAP_LEN: usize = 4 * 1024;

/// Bytes read of a kernel file (/proc/stat, memory.stat); what is looked for stands in the first two thousand.
pub const HOST_FILE_LEN_MAX: usize = 8 * 1024;

/// Time in which file systems answer; those that do not are said to hang, and at the end of the process not waited for.
pub const FILE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Containers of this machine in host-only mode: links beyond are not listed.
pub const HOST_CONTAINERS_MAX: usize = 1_024;

/// Cgroups looked at in one search for containers; those beyond are not found.
pub const HOST_CGROUPS_MAX: u32 = 20_000;

/// Levels below the root cgroup that are searched: systemd's slices nest kubepods four deep.
pub const HOST_CGROUP_DEPTH_MAX: u8 = 8;

/// Files the program has open beside connections and nodes: the listeners, the local socket among them, sockets to the API server and to DNS, log, epoll, certificates
/// being read. Of the limit of open files so many are set aside.
pub const OTHER_FILES_MAX: usize = 64;

/// Bytes read of /etc/group; what follows is ignored.
pub const GROUP_FILE_LEN_MAX: u64 = 1024 * 1024;

/// Connections the kernel holds until they are accepted; it refuses those beyond.
pub const BACKLOG_MAX: i32 = 128;

/// Time between two looks for the first usage of this machine, which a line on standard output waits for.
pub const FIRST_USAGE_LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two looks at what systemd is told; also the pace of its watchdog when the unit asks for a slower one.
pub const STATUS_INTERVAL: Duration = Duration::from_secs(10);
