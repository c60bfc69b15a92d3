//! Objects of the API server that `toplet setup` makes: looked at, applied, deleted.
//!
//! Server-side apply under the field manager `toplet`: an object that is as it should be stays untouched, and fields of others
//! are not overwritten unless that is asked for. What the manager applied is what is ours; nothing else marks an object.
//! Only metadata is read, but of Secrets. Source: `k8s.io/apimachinery` `meta/v1` `types.go`, `ManagedFieldsEntry`.

use super::client::{ApiServer, JSON};
use super::questions::with_message;
use super::review::read;
use crate::limits;
use crate::net::fetch::{Exchange, FetchError, Reason};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use miniserde::{Deserialize, json};
use zeroize::Zeroizing;

/// The field manager of what is applied here.
const MANAGER: &str = "toplet";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// What the API server has under a name. Texts are empty where it leaves them out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Its name.
    pub name: String,
    /// What tells it from an earlier object of its name.
    pub uid: String,
    /// Changes with every change of the object.
    pub version: String,
    /// It was made by `toplet setup`.
    pub is_ours: bool,
}

#[derive(Deserialize)]
struct MetadataDocument {
    metadata: ObjectMetadata,
}

#[derive(Deserialize)]
struct ObjectMetadata {
    name: Option<String>,
    uid: Option<String>,
    #[serde(rename = "resourceVersion")]
    version: Option<String>,
    #[serde(rename = "managedFields")]
    managers: Option<Vec<ManagedField>>,
}

#[derive(Deserialize)]
struct ManagedField {
    manager: Option<String>,
    operation: Option<String>,
}

#[derive(Deserialize)]
struct MetadataList {
    /// `null` for none.
    items: Option<Vec<MetadataDocument>>,
}

#[derive(Deserialize)]
struct SecretDocument {
    data: Option<SecretFields>,
}

#[derive(Deserialize)]
struct SecretFields {
    token: Option<String>,
}

impl ObjectFacts {
    fn new(document: MetadataDocument) -> ObjectFacts {
        let ObjectMetadata { name, uid, version, managers } = document.metadata;
        let ours = |entry: &ManagedField| {
            entry.manager.as_deref() == Some(MANAGER) && entry.operation.as_deref() == Some("Apply")
        };
        ObjectFacts {
            name: name.unwrap_or_default(),
            uid: uid.unwrap_or_default(),
            version: version.unwrap_or_default(),
            is_ours: managers.unwrap_or_default().iter().any(ours),
        }
    }
}

/// What stands at a path; `None` when nothing does.
/// # Errors
/// There is no answer, or a refusal.
pub fn look(api: &ApiServer, path: &str) -> Result<Option<ObjectFacts>, FetchError> {
    match accepted(api.send("GET", path, METADATA, None, limits::SETUP_REQUEST_TIME_MAX)?) {
        Ok(body) => parse(&body).map(Some),
        Err(error) if error.reason == Reason::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a collection holds.
/// # Errors
/// There is no answer, or a refusal.
pub fn list(api: &ApiServer, path: &str) -> Result<Vec<ObjectFacts>, FetchError> {
    let body = accepted(api.send("GET", path, METADATA_LIST, None, limits::SETUP_REQUEST_TIME_MAX)?)?;
    let list = json::from_str::<MetadataList>(&body).map_err(|_| not_an_object())?;
    Ok(list.items.unwrap_or_default().into_iter().map(ObjectFacts::new).collect())
}

/// Makes an object as `yaml` says, or changes it to that. `force` takes over fields that others set.
/// # Errors
/// There is no answer, or a refusal; 409 where others set a field.
pub fn apply(api: &ApiServer, path: &str, yaml: &str, force: bool) -> Result<ObjectFacts, FetchError> {
    // The parameter's name is the API's, not one of ours.
    const PARAMETER: &str = concat!("fieldMan", "ager");
    let query = format!("{path}?{PARAMETER}={MANAGER}&force={force}");
    let body = Some(("application/apply-patch+yaml", yaml.as_bytes()));
    let answer = api.send("PATCH", &query, METADATA, body, limits::SETUP_REQUEST_TIME_MAX)?;
    parse(&accepted(answer)?)
}

/// Deletes an object or, with a query, a collection; one that is gone is as good.
/// # Errors
/// There is no answer, or a refusal.
pub fn delete(api: &ApiServer, path: &str) -> Result<(), FetchError> {
    match accepted(api.send("DELETE", path, JSON, None, limits::SETUP_REQUEST_TIME_MAX)?) {
        Err(error) if error.reason != Reason::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The token of a Secret, once Kubernetes has filled it in.
/// # Errors
/// There is no answer, a refusal, or no token in base64.
pub fn token(api: &ApiServer, path: &str) -> Result<Option<Zeroizing<String>>, FetchError> {
    let body = Zeroizing::new(accepted(api.document(path, limits::SETUP_REQUEST_TIME_MAX)?)?);
    let secret = json::from_str::<SecretDocument>(&body).map_err(|_| not_an_object())?;
    let Some(text) = secret.data.and_then(|data| data.token).filter(|token| !token.is_empty()) else {
        return Ok(None);
    };
    let text = Zeroizing::new(text);
    let token = STANDARD.decode(text.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // What a JSON Web Token consists of, so that it stands in a kubeconfig as it is.
    let is_token = |token: &String| token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    token.filter(is_token).map(|token| Some(Zeroizing::new(token))).ok_or_else(not_an_object)
}

/// The body of an answer that is no refusal.
fn accepted(mut answer: Exchange) -> Result<String, FetchError> {
    let refusal = answer.refusal();
    let body = read(&mut answer)?;
    match refusal {
        None => Ok(body),
        Some(refusal) => Err(with_message(refusal, &body)),
    }
}

fn parse(body: &str) -> Result<ObjectFacts, FetchError> {
    json::from_str(body).map(ObjectFacts::new).map_err(|_| not_an_object())
}

fn not_an_object() -> FetchError {
    FetchError::new(Reason::Body, "the answer is not the object that was asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_manager_applied_is_ours() {
        let of = |managers: &str| {
            let body = format!(
                r#"{{"kind":"PartialObjectMetadata","metadata":{{"name":"a","uid":"b-1","resourceVersion":"7","managedFields":{managers}}}}}"#
            );
            parse(&body).unwrap()
        };
        let ours = of(
            r#"[{"manager":"kubectl","operation":"Update"},{"manager":"toplet","operation":"Apply","fieldsV1":{}}]"#,
        );
        assert_eq!(
            ours,
            ObjectFacts { name: "a".into(), uid: "b-1".into(), version: "7".into(), is_ours: true }
        );
        for foreign in [
            "[]",
            "null",
            r#"[{"manager":"toplet","operation":"Update"}]"#,
            r#"[{"manager":"helm","operation":"Apply"}]"#,
            r#"[{"manager":"toplet-operator","operation":"Apply"}]"#,
        ] {
            assert!(!of(foreign).is_ours, "{foreign}");
        }
        assert!(parse("{}").is_err() && parse("<html>").is_err());
    }
}
