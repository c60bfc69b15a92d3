//! The objects of the host's manifest in the API server: looked at before anything changes, applied, removed.

use super::step::say;
use crate::cluster::client::{ApiServer, hint};
use crate::cluster::objects::{self, ObjectFacts};
use crate::cluster::questions;
use crate::limits;
use crate::net::fetch::{FetchError, Reason};
use crate::run::manifest::ManifestObject;

const ACCOUNT: &str = "/api/v1/namespaces/kube-system/serviceaccounts/metrics-server";
/// Where Kubernetes puts the account's token.
pub const SECRET: &str = "/api/v1/namespaces/kube-system/secrets/metrics-server-host";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/kube-system/deployments";
const SERVICE: &str = "/api/v1/namespaces/kube-system/services/metrics-server";
/// What an old Service leaves behind, and the API server would go on to use.
const ENDPOINTS: &str = "/api/v1/namespaces/kube-system/endpoints/metrics-server";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dmetrics-server";

/// Something that stands where an object of ours belongs, or beside it, and was made by others.
pub struct ForeignObject {
    path: String,
    title: String,
}

/// What the API server has of the objects, in their order.
pub struct Survey {
    found: Vec<Option<ObjectFacts>>,
    foreign: Vec<ForeignObject>,
}

impl Survey {
    /// Looks at every object, and for Deployments of metrics-server.
    /// # Errors
    /// The API server does not say.
    pub fn take(api: &ApiServer, wanted: &[ManifestObject]) -> Result<Survey, String> {
        let mut survey = Survey { found: Vec::new(), foreign: Vec::new() };
        let selected = format!("{DEPLOYMENTS}?labelSelector=k8s-app%3Dmetrics-server");
        let deployments = objects::list(api, &selected).map_err(|e| refused("Deployments", "list", &e))?;
        for ObjectFacts { name, .. } in deployments {
            let (path, title) = (format!("{DEPLOYMENTS}/{name}"), format!("Deployment {name}"));
            survey.foreign.push(ForeignObject { path, title });
        }
        for ManifestObject { path, title, .. } in wanted {
            let found = objects::look(api, path).map_err(|e| refused(title, "get", &e))?;
            if found.as_ref().is_some_and(|found| !found.is_ours) {
                let title = format!("{title}{}", target(api, path));
                survey.foreign.push(ForeignObject { path: path.clone(), title });
            }
            survey.found.push(found);
        }
        Ok(survey)
    }

    /// Refuses to go on where others' objects are in the way, which must be allowed to be replaced.
    /// # Errors
    /// Which they are.
    pub fn refuse_foreign(&self, has_packaged: bool) -> Result<(), String> {
        if self.foreign.is_empty() {
            return Ok(());
        }
        let titles: Vec<&str> = self.foreign.iter().map(|foreign| foreign.title.as_str()).collect();
        let first = if has_packaged {
            "k3s made them: write `disable: [metrics-server]` into /etc/rancher/k3s/config.yaml and restart k3s, which removes \
             them; else "
        } else {
            ""
        };
        Err(format!(
            "not made by toplet setup: {}; {first}--replace deletes them and puts toplet's in their place",
            titles.join(", ")
        ))
    }

    /// Whether a setup registered a toplet before.
    #[must_use]
    pub fn has_ours(&self) -> bool {
        self.found.iter().flatten().any(|found| found.is_ours)
    }

    /// Prints what there is.
    pub fn print(&self, wanted: &[ManifestObject]) {
        for foreign in &self.foreign {
            say("foreign", &foreign.title);
        }
        for (object, found) in wanted.iter().zip(&self.found) {
            match found {
                None => say("absent", &object.title),
                Some(found) if found.is_ours => say("present", &object.title),
                Some(_) => {}
            }
        }
    }

    /// Deletes what others made, the last first.
    /// # Errors
    /// The API server refuses.
    pub fn delete_foreign(&mut self, api: &ApiServer) -> Result<(), String> {
        let has_service = self.foreign.iter().any(|foreign| foreign.path == SERVICE);
        for ForeignObject { path, title } in self.foreign.drain(..).rev() {
            objects::delete(api, &path).map_err(|e| refused(&title, "delete", &e))?;
            say("deleted", &title);
        }
        if has_service {
            // The new Service has no selector: nobody else removes what the old one led to.
            for (path, title) in [(ENDPOINTS, "Endpoints"), (SLICES, "EndpointSlices")] {
                objects::delete(api, path).map_err(|e| refused(title, "delete", &e))?;
            }
        }
        for found in &mut self.found {
            *found = found.take().filter(|found| found.is_ours);
        }
        Ok(())
    }

    /// The Secret of the token, for the account that stands there now. With its name alone, a token controller that lags behind
    /// would sign for an earlier account of that name, and the API server refuse that token for good.
    fn secret(&self, api: &ApiServer, index: usize, yaml: &str) -> Result<String, String> {
        let account =
            objects::look(api, ACCOUNT).map_err(|e| refused("ServiceAccount metrics-server", "get", &e))?;
        let was_found = |index: usize| self.found.get(index).is_some_and(Option::is_some);
        // The account is the first of the objects: without it, the token of a Secret that is there is one for an account before.
        if was_found(index) && !was_found(0) {
            objects::delete(api, SECRET).map_err(|e| refused("Secret metrics-server-host", "delete", &e))?;
        }
        let bound = account.and_then(|account| bound(yaml, &account));
        bound.ok_or_else(|| "ServiceAccount metrics-server: it has no uid, or is gone again".to_owned())
    }

    /// Applies the object at this place of the order; whether it changed.
    /// # Errors
    /// The API server refuses.
    pub fn apply(
        &self,
        api: &ApiServer,
        index: usize,
        object: &ManifestObject,
        force: bool,
    ) -> Result<bool, String> {
        let yaml =
            if object.path == SECRET { self.secret(api, index, &object.yaml)? } else { object.yaml.clone() };
        let applied = objects::apply(api, &object.path, &yaml, force);
        let applied = applied.map_err(|e| refused(&object.title, "patch", &e))?;
        let before = self.found.get(index).and_then(Option::as_ref);
        let what = match before {
            None => "created",
            Some(before) if before.version == applied.version => "unchanged",
            Some(_) => "changed",
        };
        say(what, &object.title);
        Ok(what != "unchanged")
    }
}

/// The Secret bound to the account as it is now.
fn bound(yaml: &str, account: &ObjectFacts) -> Option<String> {
    const NAME: &str = "kubernetes.io/service-account.name: metrics-server";
    let is_uid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_bound = !account.uid.is_empty() && account.uid.bytes().all(is_uid) && yaml.contains(NAME);
    is_bound.then(|| {
        yaml.replace(NAME, &format!("{NAME}, kubernetes.io/service-account.uid: \"{}\"", account.uid))
    })
}

/// Where an APIService points to, for people.
fn target(api: &ApiServer, path: &str) -> String {
    let version = path.rsplit('/').next().and_then(|name| name.strip_suffix(".metrics.k8s.io"));
    let Some(version) = version.filter(|_| path.contains("/apiservices/")) else { return String::new() };
    match questions::registration(api, version, limits::SETUP_REQUEST_TIME_MAX) {
        Ok(registration) if !registration.service.is_empty() => format!(" (to {})", registration.service),
        _ => String::new(),
    }
}

/// Removes what an earlier run made, the last first; what others made stays.
/// # Errors
/// The API server refuses.
pub fn undo(api: &ApiServer, made: &[ManifestObject], dry_run: bool) -> Result<(), String> {
    for ManifestObject { path, title, .. } in made.iter().rev() {
        match objects::look(api, path).map_err(|e| refused(title, "get", &e))? {
            None => {}
            Some(found) if !found.is_ours => say("kept", &format_args!("{title}: not made by toplet setup")),
            Some(_) if dry_run => say("present", title),
            Some(_) => {
                objects::delete(api, path).map_err(|e| refused(title, "delete", &e))?;
                say("removed", title);
            }
        }
    }
    Ok(())
}

fn refused(title: &str, verb: &str, error: &FetchError) -> String {
    let remedy = match error.reason {
        Reason::Status if error.message.contains("\"409 ") => {
            "somebody else set these fields: --replace takes them over".to_owned()
        }
        reason => {
            hint(reason, &format!("\"{verb}\" to the user of the kubeconfig, who must be an administrator"))
        }
    };
    format!("{title}: {error}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ManifestKind;
    use crate::run::manifest::{self, HostFacts};

    #[test]
    fn the_secret_is_bound_to_the_account_by_its_uid() {
        let all = manifest::objects(&manifest::text(ManifestKind::Host, &HostFacts::EXAMPLE));
        assert_eq!(all.first().map(|object| &*object.path), Some(ACCOUNT));
        let secret = &all.iter().find(|object| object.path == SECRET).unwrap().yaml;
        let account = |uid: &str| ObjectFacts { uid: uid.to_owned(), ..ObjectFacts::default() };
        let yaml = bound(secret, &account("0b5e-1")).unwrap();
        let annotations = "annotations: {kubernetes.io/service-account.name: metrics-server, kubernetes.io/service-account.uid: \"0b5e-1\"}";
        assert!(yaml.contains(annotations), "{yaml}");
        for uid in ["", "a\"}", "a b"] {
            assert_eq!(bound(secret, &account(uid)), None, "{uid:?}");
        }
    }
}
