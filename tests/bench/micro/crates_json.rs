//! The documents of the Metrics API as serde knows them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodMetricsList {
    kind: String,
    api_version: String,
    metadata: Empty,
    items: Vec<PodMetrics>,
}

#[derive(Serialize, Deserialize)]
pub struct Empty {}

#[derive(Serialize, Deserialize)]
pub struct PodMetrics {
    metadata: Metadata,
    timestamp: String,
    window: String,
    containers: Vec<ContainerMetrics>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    name: String,
    namespace: String,
    creation_timestamp: String,
    labels: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
pub struct ContainerMetrics {
    name: String,
    usage: Usage,
}

#[derive(Serialize, Deserialize)]
pub struct Usage {
    cpu: String,
    memory: String,
    swap: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    kind: String,
    api_version: String,
    metadata: Empty,
    column_definitions: Vec<Column>,
    rows: Vec<TableRow>,
}

#[derive(Serialize, Deserialize)]
pub struct Column {
    name: String,
    r#type: String,
    format: String,
    description: String,
    priority: u32,
}

#[derive(Serialize, Deserialize)]
pub struct TableRow {
    cells: Vec<String>,
    object: PartialObject,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartialObject {
    kind: String,
    api_version: String,
    metadata: Metadata,
}
