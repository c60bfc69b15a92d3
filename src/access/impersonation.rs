//! Acting as somebody else: the `Impersonate-*` headers, and the questions that decide about them.
//!
//! Constrained modes are tried first (a node by its own service account, any node, a service account, any other user),
//! the legacy verb last. A mode asks whether the request itself may be made in that mode, then for each name, UID,
//! group and extra value whether it may be taken on; one denial ends the mode, and the first mode without a denial
//! wins. Order, verbs and texts are those of Kubernetes' `apiserver` 0.36. Memory: one request's wishes and a few bytes
//! for each of them.
//!
//! Deviation: the reference remembers for each user which mode worked last, and words a denial by that mode. Here the
//! legacy mode words the denial when it got further than its first question, which needs no memory.

use super::Identity;
use super::identity::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, read_extra, text};
use super::names::{account_name, fault_of, node_name};
use super::policy::{Attributes, MASTERS};
use super::refusal::Denial;
use crate::wire::request::Head;
use crate::wire::selector::quoted;
use std::borrow::Cow;

/// From this many groups (or extra values) on, one question for all of them comes first.
const MANY: usize = 4;
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const NODE_KEYS: &str = "authentication.kubernetes.io/associated-node-keys";

/// The identity a request wants to act as.
/// # Errors
/// The text of the 400 when other headers come without a user.
pub(super) fn wanted(head: &Head<'_>) -> Result<Option<Identity>, String> {
    let first = |name: &str| head.first(name).map(text).unwrap_or_default();
    let wanted = Identity {
        user: first("Impersonate-User"),
        uid: first("Impersonate-Uid"),
        groups: head.all("Impersonate-Group").map(text).collect(),
        extra: read_extra(head, "Impersonate-Extra-", Vec::new()),
    };
    if !wanted.user.is_empty() {
        return Ok(Some(wanted));
    }
    if wanted == Identity::default() {
        return Ok(None);
    }
    Err(format!("requested {} without impersonating a user name", go_syntax(&wanted)))
}

/// An identity as Go prints it (`%#v`), which is what the reference answers.
fn go_syntax(identity: &Identity) -> String {
    let strings = |values: &[String]| {
        let items = values.iter().map(|value| quoted(value)).collect::<Vec<_>>();
        format!("[]string{{{}}}", items.join(", "))
    };
    let groups =
        if identity.groups.is_empty() { "[]string(nil)".to_owned() } else { strings(&identity.groups) };
    let extra = if identity.extra.is_empty() {
        "map[string][]string(nil)".to_owned()
    } else {
        let pairs = identity.extra.iter().map(|(key, values)| format!("{}:{}", quoted(key), strings(values)));
        format!("map[string][]string{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    };
    let (user, uid) = (quoted(&identity.user), quoted(&identity.uid));
    format!("&user.DefaultInfo{{Name:{user}, UID:{uid}, Groups:{groups}, Extra:{extra}}}")
}

/// How an identity may be taken on, in the order of the attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    UserInfo,
    Legacy,
}

const MODES: [Mode; 5] =
    [Mode::AssociatedNode, Mode::ArbitraryNode, Mode::ServiceAccount, Mode::UserInfo, Mode::Legacy];

impl Mode {
    /// The name in verbs; `None` for the legacy verb.
    fn name(self) -> Option<&'static str> {
        match self {
            Mode::AssociatedNode => Some("associated-node"),
            Mode::ArbitraryNode => Some("arbitrary-node"),
            Mode::ServiceAccount => Some("serviceaccount"),
            Mode::UserInfo => Some("user-info"),
            Mode::Legacy => None,
        }
    }
}

/// One question of a mode; indexes point into what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// The request itself, in this mode.
    On,
    User,
    Uid,
    /// All groups at once; a yes answers this many further questions.
    AnyGroup(usize),
    Group(usize),
    /// All extra values at once; a yes answers this many further questions.
    AnyExtra(usize),
    Extra(usize, usize),
    /// No question: the mode refuses these groups.
    BadGroups(&'static str),
    /// No question: the mode refuses this extra key or its values.
    BadExtra(usize),
}

/// What comes next.
pub(super) enum Next<'a> {
    /// Decide whether this identity may do this, then call [`Impersonation::allowed`] or [`Impersonation::denied`].
    Decide(&'a Identity, Attributes<'a>),
    /// A refusal without a question: call [`Impersonation::denied`] with this reason.
    Deny(&'a Identity, Attributes<'a>, String),
    /// The request goes on as this identity.
    Acts(Identity),
    /// Every mode refused.
    Refused(Denial),
}

/// The questions of one request.
pub(super) struct Impersonation {
    requestor: Identity,
    /// The requestor as the mode of the associated node shows it: extra values dropped, their keys kept.
    on_node: Identity,
    wanted: Identity,
    /// Node name, or namespace and name of a service account, that the wanted user name stands for.
    node: Option<String>,
    account: Option<(String, String)>,
    mode: usize,
    questions: Vec<Question>,
    at: usize,
    denial: Option<Denial>,
}

impl Impersonation {
    /// Nothing decided yet.
    pub(super) fn new(requestor: Identity, wanted: Identity) -> Impersonation {
        let mut on_node = requestor.clone();
        let keys = on_node.extra.drain(..).map(|(key, _)| key).collect();
        on_node.extra.push((NODE_KEYS.to_owned(), keys));
        let node = node_name(&wanted.user).map(str::to_owned);
        let account =
            account_name(&wanted.user).map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
        let mut new = Impersonation {
            requestor,
            on_node,
            wanted,
            node,
            account,
            mode: 0,
            questions: Vec::new(),
            at: 0,
            denial: None,
        };
        new.enter_mode();
        new
    }

    /// The next question about a request with these attributes, or the outcome.
    pub(super) fn next<'a>(&'a self, request: &Attributes<'a>) -> Next<'a> {
        let Some(&mode) = MODES.get(self.mode) else {
            return Next::Refused(self.denial.clone().unwrap_or_default());
        };
        let Some(&question) = self.questions.get(self.at) else { return Next::Acts(self.taken_on(mode)) };
        let requestor = if mode == Mode::AssociatedNode { &self.on_node } else { &self.requestor };
        let attributes = self.attributes(mode, question, request);
        match question {
            Question::BadGroups(reason) => Next::Deny(requestor, attributes, reason.to_owned()),
            Question::BadExtra(at) => {
                Next::Deny(requestor, attributes, self.extra_fault(at).unwrap_or_default())
            }
            _ => Next::Decide(requestor, attributes),
        }
    }

    /// The last question was answered with yes.
    pub(super) fn allowed(&mut self) {
        self.at += 1 + match self.questions.get(self.at) {
            Some(&(Question::AnyGroup(count) | Question::AnyExtra(count))) => count,
            _ => 0,
        };
    }

    /// The last question was answered with no; `denial` says so in the words of the 403.
    pub(super) fn denied(&mut self, denial: Denial) {
        if let Some(Question::AnyGroup(_) | Question::AnyExtra(_)) = self.questions.get(self.at) {
            self.at += 1;
            return;
        }
        let is_better = MODES.get(self.mode) == Some(&Mode::Legacy) && self.at > 0;
        if self.denial.is_none() || is_better {
            self.denial = Some(denial);
        }
        self.mode += 1;
        self.enter_mode();
    }

    /// Finds the next mode that applies, and lists its questions.
    fn enter_mode(&mut self) {
        self.at = 0;
        self.questions.clear();
        while let Some(&mode) = MODES.get(self.mode) {
            if self.applies(mode) {
                self.list_questions(mode);
                return;
            }
            self.mode += 1;
        }
    }

    fn applies(&self, mode: Mode) -> bool {
        let has_only_user =
            self.wanted.uid.is_empty() && self.wanted.groups.is_empty() && self.wanted.extra.is_empty();
        match mode {
            Mode::AssociatedNode => {
                let own_node =
                    self.requestor.extra.iter().find(|(key, _)| key == NODE_NAME).map(|(_, nodes)| nodes);
                let is_own = matches!((own_node.map(Vec::as_slice), &self.node), (Some([own]), Some(node)) if own == node);
                has_only_user && is_own && account_name(&self.requestor.user).is_some()
            }
            Mode::ArbitraryNode => has_only_user && self.node.is_some(),
            Mode::ServiceAccount => has_only_user && self.account.is_some(),
            Mode::UserInfo => self.node.is_none() && self.account.is_none(),
            Mode::Legacy => true,
        }
    }

    fn list_questions(&mut self, mode: Mode) {
        let is_constrained = mode.name().is_some();
        let (groups, extra) = (&self.wanted.groups, &self.wanted.extra);
        let questions = &mut self.questions;
        questions.extend(is_constrained.then_some(Question::On));
        questions.push(Question::User);
        questions.extend((!self.wanted.uid.is_empty()).then_some(Question::Uid));
        if is_constrained {
            if groups.iter().any(String::is_empty) {
                questions.push(Question::BadGroups("impersonating the empty string group is not allowed"));
            } else if groups.iter().any(|group| group == MASTERS) {
                questions.push(Question::BadGroups("impersonating the system:masters group is not allowed"));
            } else if groups.len() >= MANY {
                questions.push(Question::AnyGroup(groups.len()));
            }
        }
        questions.extend((0..groups.len()).map(Question::Group));
        let values = extra.iter().map(|(_, values)| values.len()).sum::<usize>();
        if is_constrained {
            let bad = extra.iter().position(|(key, values)| fault_of(key, values).is_some());
            let questions = &mut self.questions;
            questions.extend(bad.map(Question::BadExtra));
            questions.extend((extra.len() >= MANY || values >= MANY).then_some(Question::AnyExtra(values)));
        }
        for (at, (_, values)) in extra.iter().enumerate() {
            self.questions.extend((0..values.len()).map(|value| Question::Extra(at, value)));
        }
    }

    fn extra_fault(&self, at: usize) -> Option<String> {
        self.wanted.extra.get(at).and_then(|(key, values)| fault_of(key, values))
    }

    /// What a question asks about.
    fn attributes<'a>(&'a self, mode: Mode, question: Question, request: &Attributes<'a>) -> Attributes<'a> {
        if question == Question::On {
            let name = mode.name().unwrap_or_default();
            let verb = Cow::Owned(format!("impersonate-on:{name}:{}", request.verb));
            return Attributes { verb, ..request.clone() };
        }
        let verb = match mode.name() {
            Some(name) => Cow::Owned(format!("impersonate:{name}")),
            None => Cow::Borrowed("impersonate"),
        };
        let in_group = |resource, name| Attributes {
            is_resource: true,
            verb: verb.clone(),
            group: "authentication.k8s.io",
            version: "v1",
            resource,
            name,
            ..Attributes::default()
        };
        // The legacy verb asks for users, groups and service accounts in the core group.
        let plain = |resource, name| match mode {
            Mode::Legacy => Attributes { group: "", ..in_group(resource, name) },
            _ => in_group(resource, name),
        };
        match question {
            Question::On | Question::User => match (&self.account, &self.node) {
                (Some((namespace, name)), _) => Attributes { namespace, ..plain("serviceaccounts", name) },
                (None, Some(_)) if mode == Mode::AssociatedNode => plain("nodes", "*"),
                (None, Some(node)) if mode != Mode::Legacy => plain("nodes", node),
                _ => plain("users", &self.wanted.user),
            },
            Question::Uid => in_group("uids", &self.wanted.uid),
            Question::AnyGroup(_) => plain("groups", "*"),
            Question::Group(at) => plain("groups", self.wanted.groups.get(at).map_or("", String::as_str)),
            Question::BadGroups(reason) => {
                plain("groups", if reason.contains(MASTERS) { MASTERS } else { "" })
            }
            Question::AnyExtra(_) => Attributes { subresource: "*", ..in_group("userextras", "*") },
            Question::BadExtra(_) => in_group("userextras", ""),
            Question::Extra(at, value) => {
                let (key, values) =
                    self.wanted.extra.get(at).map_or(("", &[][..]), |(key, values)| (key, values));
                let name = values.get(value).map_or("", String::as_str);
                Attributes { subresource: key, ..in_group("userextras", name) }
            }
        }
    }

    /// The identity as it acts, with the groups that follow from it.
    fn taken_on(&self, mode: Mode) -> Identity {
        let mut identity = self.wanted.clone();
        if self.node.is_some() && mode != Mode::Legacy {
            identity.groups = vec!["system:nodes".to_owned()];
        }
        if let (Some((namespace, _)), true) = (&self.account, identity.groups.is_empty()) {
            identity.groups =
                vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        }
        let has = |group: &str| identity.groups.iter().any(|known| known == group);
        let implied = match &*identity.user {
            ANONYMOUS => Some(UNAUTHENTICATED),
            _ if has(UNAUTHENTICATED) => None,
            _ => Some(AUTHENTICATED),
        };
        let missing = implied.filter(|group| !has(group)).map(str::to_owned);
        identity.groups.extend(missing);
        identity
    }
}

#[cfg(test)]
mod tests;
