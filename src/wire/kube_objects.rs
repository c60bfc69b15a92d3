//! Kubernetes objects as protobuf: nodes and pod metadata, object by object, in lists and in watches.
