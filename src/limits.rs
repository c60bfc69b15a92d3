//! Every maximum of the program: its unit, why it is that large, and what happens beyond it.
//!
//! Nothing else in the program holds a bare number that bounds memory, time or count. Where a flag can raise a limit,
//! the constant here is the flag's default. Beyond a limit something is refused, counted and said once; nothing grows.

// ---- wire: bytes from kubelets and the API server -------------------------------------------------------------------

// ---- store: the sample table ----------------------------------------------------------------------------------------

// ---- api: requests and answers --------------------------------------------------------------------------------------

/// Bytes of one piece of an answer's body: one TLS record. A list is encoded piece by piece, resumed by key.
pub const CHUNK_LEN_MAX: usize = 16 * 1024;

// ---- access: identities, reviews and their caches -------------------------------------------------------------------

// ---- net and poller: kubelets ---------------------------------------------------------------------------------------

// ---- cluster: the API server ----------------------------------------------------------------------------------------

// ---- serve: connections ---------------------------------------------------------------------------------------------

// ---- cli and host ---------------------------------------------------------------------------------------------------
