//! Kubernetes' messages as prost knows them: only the fields that toplet reads or writes, which is the least work for it.

use crate::world;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Unknown {
    #[prost(message, optional, tag = "1")]
    pub type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    pub raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TypeMeta {
    #[prost(string, tag = "1")]
    pub api_version: String,
    #[prost(string, tag = "2")]
    pub kind: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ListMeta {
    #[prost(string, optional, tag = "2")]
    pub resource_version: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub continue_token: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Time {
    #[prost(int64, optional, tag = "1")]
    pub seconds: Option<i64>,
    #[prost(int32, optional, tag = "2")]
    pub nanos: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ObjectMeta {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub generate_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub namespace: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub self_link: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub uid: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub resource_version: Option<String>,
    #[prost(int64, optional, tag = "7")]
    pub generation: Option<i64>,
    #[prost(message, optional, tag = "8")]
    pub creation_timestamp: Option<Time>,
    #[prost(message, repeated, tag = "11")]
    pub labels: Vec<Entry>,
}

/// What was read of a pod, and beside it what a real one has and neither of the two decoders reads.
#[derive(Clone, PartialEq, Message)]
pub struct Pod {
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ObjectMeta>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PodList {
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ListMeta>,
    #[prost(message, repeated, tag = "2")]
    pub items: Vec<Pod>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Quantity {
    #[prost(string, tag = "1")]
    pub text: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub quantity: Option<Quantity>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ContainerMetrics {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub usage: Vec<Resource>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Duration {
    #[prost(int64, optional, tag = "1")]
    pub nanos: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PodMetrics {
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    pub timestamp: Option<Time>,
    #[prost(message, optional, tag = "3")]
    pub window: Option<Duration>,
    #[prost(message, repeated, tag = "4")]
    pub containers: Vec<ContainerMetrics>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PodMetricsList {
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ListMeta>,
    #[prost(message, repeated, tag = "2")]
    pub items: Vec<PodMetrics>,
}

/// Appends a length-delimited field.
fn field(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, out);
    prost::encoding::encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// The API server's list of all pods, metadata alone, and how many they are. Real ones have managed fields, owners and
/// annotations, about as many bytes of each as here.
pub fn pod_list() -> (Vec<u8>, usize) {
    let pods = world::pods();
    let mut raw = Vec::new();
    field(
        &mut raw,
        1,
        &ListMeta { resource_version: Some("123456".into()), continue_token: None }.encode_to_vec(),
    );
    for (number, (namespace, name, labels)) in pods.iter().enumerate() {
        let labels =
            labels.iter().map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect();
        let mut meta = ObjectMeta {
            name: Some(name.clone()),
            generate_name: Some(name[..name.len() - 5].to_owned()),
            namespace: Some(namespace.clone()),
            uid: Some("4c5cfcf7-55fd-43e3-8601-8833874f7493".into()),
            resource_version: Some(number.to_string()),
            creation_timestamp: Some(Time { seconds: Some(1_795_509_000), nanos: None }),
            labels,
            ..ObjectMeta::default()
        }
        .encode_to_vec();
        let mut annotation = Vec::new();
        field(&mut annotation, 1, b"kubernetes.io/config.source");
        field(&mut annotation, 2, b"api");
        field(&mut meta, 12, &annotation);
        let mut owner = Vec::new();
        field(&mut owner, 1, b"ReplicaSet");
        field(&mut owner, 3, &name.as_bytes()[..18]);
        field(&mut owner, 4, b"21916393-78e7-42a1-a213-00ee3404857b");
        field(&mut owner, 5, b"apps/v1");
        field(&mut meta, 13, &owner);
        for manager in ["kube-controller-manager", "kubelet"] {
            let mut managed = Vec::new();
            field(&mut managed, 1, manager.as_bytes());
            field(&mut managed, 2, b"Update");
            field(&mut managed, 7, &[b'x'; 700]);
            field(&mut meta, 17, &managed);
        }
        let mut item = Vec::new();
        field(&mut item, 1, &meta);
        field(&mut raw, 2, &item);
    }
    let type_meta =
        TypeMeta { api_version: "meta.k8s.io/v1".into(), kind: "PartialObjectMetadataList".into() };
    let mut bytes = b"k8s\0".to_vec();
    Unknown { type_meta: Some(type_meta), raw }.encode(&mut bytes).unwrap();
    (bytes, pods.len())
}
