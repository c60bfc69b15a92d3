//! One list without a watch after it, for diagnosis.

use super::query::{list_path, names};
use super::refusal::{accepted, garbage};
use crate::cluster::client::ApiServer;
use crate::limits;
use crate::net::fetch::FetchError;
use crate::store::{Inventory, Store};
use crate::wire::kube_objects::Object;
use crate::wire::kube_stream::ListDecoder;
use std::time::Duration;

/// Lists the nodes into `store`, page by page; how many it had no room for.
/// # Errors
/// The API server cannot be reached, refuses, or answers with something else.
pub fn list_nodes(api: &ApiServer, store: &mut Store, timeout: Duration) -> Result<u32, FetchError> {
    let (_, path, accept, _) = names(Inventory::Nodes);
    let mut piece = vec![0; limits::API_PIECE_LEN];
    let (mut token, mut refused) = (String::new(), 0);
    loop {
        let mut answer = accepted(api.get(&list_path(path, "0", &token), accept, Some(timeout))?)?;
        let mut decoder = ListDecoder::default();
        loop {
            let len = answer.read(&mut piece)?;
            let fed = decoder.feed(&piece[..len], |object| {
                if let Object::Node(node) = &object.object {
                    refused += u32::from(store.upsert_node(node).is_err());
                }
            });
            fed.map_err(garbage)?;
            if len == 0 {
                break;
            }
        }
        token = decoder.finish().map_err(garbage)?.continue_token;
        if token.is_empty() {
            return Ok(refused);
        }
    }
}
