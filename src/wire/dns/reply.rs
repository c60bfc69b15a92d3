//! Answers of name servers for tests, here and where lookups are made.

/// An answer to `query` with these records: type, seconds to live, bytes.
pub fn reply(query: &[u8], code: u8, records: &[(u16, u32, &[u8])]) -> Vec<u8> {
    let mut reply = query.to_vec();
    reply[2] |= 0x80;
    reply[3] = 0x80 | code;
    reply[7] = records.len() as u8;
    for (kind, ttl, bytes) in records {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1]);
        reply.extend(ttl.to_be_bytes());
        reply.extend((bytes.len() as u16).to_be_bytes());
        reply.extend(*bytes);
    }
    reply
}
