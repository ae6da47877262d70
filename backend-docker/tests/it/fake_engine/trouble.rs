//! What is asked of an engine, and what goes wrong with it.

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Version,
    Info,
    FindImage,
    PullImage,
    CreateContainer,
    InspectContainer,
    ListContainers,
    StartContainer,
    SignalContainer,
    RemoveContainer,
    ReadLogs,
    CopyFiles,
    CreateExec,
    StartExec,
    InspectExec,
    CreateNetwork,
    InspectNetwork,
    ListNetworks,
    JoinNetwork,
    RemoveNetwork,
    CreateVolume,
    ListVolumes,
    RemoveVolume,
    Events,
    /// What our backend has no use for.
    Unknown,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// The connection is cut, and nothing was done.
    CutBefore,
    /// The work is done, and the connection is cut before the answer.
    LosesAnswer,
    /// It is refused with this status, and nothing was done.
    Refuses(u16),
    /// The work is done, and it is refused with this status: an earlier request did it, or the engine failed late.
    RefusesAfter(u16),
    /// No answer, for as long as the client waits.
    Hangs,
    /// The work is done, and no answer.
    HangsAfter,
    /// No answer, and the work is done once the containers were listed again: by then the client has given it up.
    Late,
    /// An earlier removal, which was given up, takes the networks that nothing runs in just before it.
    NetworksGo,
    /// The next list of such things does not have this change yet.
    StaleList,
    /// This event and the next are sent to nobody.
    MissesEvents,
    /// Subscriptions end, and this event is lost.
    CutsEvents,
    /// The engine ends before it has done anything, and is back a moment later, with what ran stopped.
    Gone,
    /// The same, behind its work.
    GoneAfter,
}

impl Call {
    /// What a request asks for, by method and path without the version.
    pub(super) fn of(method: &str, path: &[&str]) -> Self {
        match (method, path) {
            ("GET", ["version"]) => Self::Version,
            ("GET", ["info"]) => Self::Info,
            ("GET", ["events"]) => Self::Events,
            ("POST", ["images", "create"]) => Self::PullImage,
            ("GET", ["images", .., "json"]) => Self::FindImage,
            ("POST", ["containers", "create"]) => Self::CreateContainer,
            ("GET", ["containers", "json"]) => Self::ListContainers,
            ("GET", ["containers", _, "json"]) => Self::InspectContainer,
            ("POST", ["containers", _, "start"]) => Self::StartContainer,
            ("POST", ["containers", _, "kill"]) => Self::SignalContainer,
            ("DELETE", ["containers", _]) => Self::RemoveContainer,
            ("GET", ["containers", _, "logs"]) => Self::ReadLogs,
            ("PUT", ["containers", _, "archive"]) => Self::CopyFiles,
            ("POST", ["containers", _, "exec"]) => Self::CreateExec,
            ("POST", ["exec", _, "start"]) => Self::StartExec,
            ("GET", ["exec", _, "json"]) => Self::InspectExec,
            ("POST", ["networks", "create"]) => Self::CreateNetwork,
            ("GET", ["networks"]) => Self::ListNetworks,
            ("GET", ["networks", _]) => Self::InspectNetwork,
            ("POST", ["networks", _, "connect"]) => Self::JoinNetwork,
            ("DELETE", ["networks", _]) => Self::RemoveNetwork,
            ("POST", ["volumes", "create"]) => Self::CreateVolume,
            ("GET", ["volumes"]) => Self::ListVolumes,
            ("DELETE", ["volumes", _]) => Self::RemoveVolume,
            _ => Self::Unknown,
        }
    }

    /// Whether it changes what is on the engine, or in a container.
    pub(crate) fn mutates(self) -> bool {
        match self {
            Self::PullImage
            | Self::CreateContainer
            | Self::StartContainer
            | Self::SignalContainer
            | Self::RemoveContainer
            | Self::CopyFiles
            | Self::CreateExec
            | Self::StartExec
            | Self::CreateNetwork
            | Self::JoinNetwork
            | Self::RemoveNetwork
            | Self::CreateVolume
            | Self::RemoveVolume => true,
            Self::Version
            | Self::Info
            | Self::FindImage
            | Self::InspectContainer
            | Self::ListContainers
            | Self::ReadLogs
            | Self::InspectExec
            | Self::InspectNetwork
            | Self::ListNetworks
            | Self::ListVolumes
            | Self::Events
            | Self::Unknown => false,
        }
    }

    /// The list in which its change shows.
    pub(super) fn listed_by(self) -> Option<Self> {
        match self {
            Self::CreateContainer | Self::RemoveContainer => Some(Self::ListContainers),
            Self::CreateNetwork | Self::RemoveNetwork => Some(Self::ListNetworks),
            Self::CreateVolume | Self::RemoveVolume => Some(Self::ListVolumes),
            _ => None,
        }
    }

    /// All that can go wrong with it.
    pub(crate) fn troubles(self) -> Vec<Trouble> {
        use Trouble::*;
        let mut troubles = vec![CutBefore, Refuses(500), Hangs];
        if self.mutates() {
            troubles.extend([LosesAnswer, RefusesAfter(500), HangsAfter, Late, Gone, GoneAfter]);
        }
        if self.listed_by().is_some() {
            troubles.push(StaleList);
        }
        match self {
            // The name is in use; a removal is under way; a volume is in use; what is signalled does not run.
            Self::CreateContainer
            | Self::CreateNetwork
            | Self::RemoveContainer
            | Self::RemoveVolume
            | Self::SignalContainer => troubles.extend([Refuses(409), RefusesAfter(409)]),
            Self::StartContainer => troubles.extend([MissesEvents, CutsEvents]),
            _ => {}
        }
        if matches!(self, Self::CreateContainer | Self::JoinNetwork | Self::StartContainer) {
            troubles.push(NetworksGo);
        }
        if self == Self::SignalContainer {
            troubles.extend([MissesEvents, CutsEvents]);
        }
        troubles
    }
}
