//! Objects of the fake API server: server-side apply, deletion, and who applied what, as far as metadata shows it.

use std::collections::BTreeMap;

/// Kinds that are kept, by their plural.
const PLURALS: [&str; 10] = [
    "serviceaccounts",
    "clusterroles",
    "rolebindings",
    "clusterrolebindings",
    "secrets",
    "services",
    "endpoints",
    "endpointslices",
    "apiservices",
    "deployments",
];

/// One object.
#[derive(Clone, Debug)]
pub struct StoredObject {
    /// As it was applied.
    pub text: String,
    /// Tells it from an earlier one at its path.
    pub uid: u64,
    /// Counts its changes.
    pub version: u64,
    /// The field manager that applied it.
    pub manager: String,
}

/// All of them, by path.
#[derive(Default)]
pub struct Objects {
    /// How many were made.
    made_count: u64,
    /// By path.
    pub kept: BTreeMap<String, StoredObject>,
    /// Paths whose change is refused, and how.
    pub refused: Vec<(String, u16)>,
    /// Changes in order, as `METHOD path`.
    pub changes: Vec<String>,
    /// Queries of the applies.
    pub queries: Vec<String>,
}

impl Objects {
    /// Puts an object there that another program made.
    pub fn add_foreign(&mut self, path: &str) {
        self.made_count += 1;
        let object =
            StoredObject { text: String::new(), uid: self.made_count, version: 1, manager: "kubectl".into() };
        self.kept.insert(path.into(), object);
    }

    /// Paths of everything that is there.
    pub fn paths(&self) -> Vec<String> {
        self.kept.keys().cloned().collect()
    }

    /// The answer, if the request is about objects of these kinds.
    pub fn answer(&mut self, method: &str, target: &str, body: &str) -> Option<(u16, String)> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (parent, last) = path.rsplit_once('/')?;
        let of = |path: &str| PLURALS.contains(&path.rsplit('/').next().unwrap_or(""));
        if !of(parent) && !of(path) {
            return None;
        }
        if method != "GET" {
            self.changes.push(format!("{method} {path}"));
            if let Some((_, code)) = self.refused.iter().find(|(refused, _)| refused == path) {
                return Some((*code, status(*code)));
            }
        }
        Some(match method {
            "GET" if of(path) && !of(parent) => {
                let below = self.kept.iter().filter(|(known, _)| known.starts_with(&format!("{path}/")));
                let items: Vec<String> = below.map(|(path, object)| document(path, object)).collect();
                // An empty list is null, as Go has it.
                let items = if items.is_empty() { "null".into() } else { format!("[{}]", items.join(",")) };
                (200, format!(r#"{{"kind":"PartialObjectMetadataList","items":{items}}}"#))
            }
            "GET" => match self.kept.get(path) {
                Some(object) => (200, document(path, object)),
                None => (404, status(404)),
            },
            "DELETE" if of(path) && !of(parent) => {
                self.kept.retain(|known, _| !known.starts_with(&format!("{path}/")));
                (200, status(200))
            }
            "DELETE" => {
                let code = if self.kept.remove(path).is_some() { 200 } else { 404 };
                (code, status(code))
            }
            "PATCH" => {
                self.queries.push(query.into());
                assert!(body.contains(&format!("name: {last}")), "{path} gets {body}");
                self.made_count += 1;
                let new = StoredObject {
                    text: body.into(),
                    uid: self.made_count,
                    version: 1,
                    manager: "toplet".into(),
                };
                let object = self.kept.entry(path.into()).or_insert_with(|| new.clone());
                if object.text != new.text || object.manager != new.manager {
                    *object = StoredObject { uid: object.uid, version: object.version + 1, ..new };
                }
                (200, document(path, object))
            }
            _ => (405, status(405)),
        })
    }
}

fn document(path: &str, object: &StoredObject) -> String {
    let (_, name) = path.rsplit_once('/').unwrap();
    let operation = if object.manager == "toplet" { "Apply" } else { "Update" };
    format!(
        r#"{{"metadata":{{"name":"{name}","uid":"uid-{}","resourceVersion":"{}","managedFields":[{{"manager":"{}","operation":"{operation}"}}]}},
        "data":{{"token":"dG9rZW4="}},"spec":{{"service":{{"namespace":"other","name":"adapter"}}}}}}"#,
        object.uid, object.version, object.manager
    )
}

fn status(code: u16) -> String {
    format!(r#"{{"kind":"Status","apiVersion":"v1","message":"status {code}","code":{code}}}"#)
}
