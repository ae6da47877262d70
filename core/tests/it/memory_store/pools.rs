//! No two live projects of a machine share a port or an address.

use std::collections::BTreeMap;

use freehold_core::{
    Detail, Project, ProjectRef, Status, Store,
    store::{NewProject, PortPool, SubnetPool},
};
use proptest::prelude::*;

use super::{active, create, creation, destroy, detail, finish, new_project, new_store};

#[tokio::test(start_paused = true)]
async fn an_exhausted_pool_names_its_setting_and_takes_back_what_is_destroyed() {
    let store = new_store();
    let port_pool = PortPool { first: 20_000, last: 20_004 };
    let small = |name: &str| creation(NewProject { port_pool, ..new_project(name) });
    store.commit(small("one")).await.unwrap();
    let one = finish(&store, Status::ActiveHealthy).await;
    let exhausted = Some(Detail::Bound { setting: "port_pool".into(), limit: 5 });
    assert_eq!(detail(store.commit(small("two")).await), exhausted);
    destroy(&store, &one).await;
    store.commit(small("two")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_create_that_gets_no_network_keeps_no_ports() {
    let store = new_store();
    let subnet_pool = Some(SubnetPool { network: "10.0.0.0/27".parse().unwrap(), prefix: 28 });
    let port_pool = PortPool { first: 20_000, last: 20_008 };
    let small = |name: &str| NewProject { subnet_pool, port_pool, ..new_project(name) };
    for name in ["one", "two"] {
        store.commit(creation(small(name))).await.unwrap();
    }
    let exhausted = Some(Detail::Bound { setting: "subnet_pool".into(), limit: 2 });
    assert_eq!(detail(store.commit(creation(small("three"))).await), exhausted);
    store.commit(creation(NewProject { subnet_pool: None, ..small("three") })).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_machines_have_the_same_ports_each_for_themselves() {
    let store = new_store();
    let here = create(&store, "here").await.project;
    let there = NewProject { machine: "machine-2".into(), ..new_project("there") };
    let there = store.commit(creation(there)).await.unwrap().project;
    assert_eq!((here.ports, here.subnet), (there.ports, there.subnet));
}

#[tokio::test(start_paused = true)]
async fn a_stack_without_ports_or_network_gets_none() {
    let store = new_store();
    let bare = NewProject { ports: 0, subnet_pool: None, ..new_project("bare") };
    let project = store.commit(creation(bare)).await.unwrap().project;
    assert_eq!((project.ports, project.subnet), (None, None));
}

#[tokio::test(start_paused = true)]
async fn what_was_freed_is_used_again_last() {
    let store = new_store();
    let one = active(&store, "one").await;
    destroy(&store, &one).await;
    let two = create(&store, "two").await.project;
    assert_ne!(two.ports, one.ports);
    assert_ne!(two.subnet, one.subnet);
}

#[derive(Clone, Debug)]
enum Move {
    Create { ports: u16, prefix: u8 },
    Destroy(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (0u16..7, 25u8..30).prop_map(|(ports, prefix)| Move::Create { ports, prefix }),
        2 => any::<usize>().prop_map(Move::Destroy),
    ];
    prop::collection::vec(one, 1..60)
}

fn check_apart(live: &BTreeMap<ProjectRef, Project>, new: &Project) -> Result<(), TestCaseError> {
    for other in live.values() {
        if let (Some(a), Some(b)) = (other.ports, new.ports) {
            prop_assert!(!a.iter().any(|port| b.contains(port)), "{a:?} and {b:?}");
        }
        if let (Some(a), Some(b)) = (other.subnet, new.subnet) {
            prop_assert!(!a.contains(&b) && !b.contains(&a), "{a} and {b}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_projects_come_and_go_no_two_share_a_port_or_an_address(moves in moves()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async move {
            let store = new_store();
            let mut live = BTreeMap::new();
            for (n, next) in moves.into_iter().enumerate() {
                match next {
                    Move::Create { ports, prefix } => {
                        let new = NewProject {
                            ports,
                            port_pool: PortPool { first: 20_000, last: 20_029 },
                            subnet_pool: Some(SubnetPool { network: "10.0.0.0/24".parse().unwrap(), prefix }),
                            ..new_project(&format!("p{n}"))
                        };
                        if store.commit(creation(new)).await.is_ok() {
                            let project = finish(&store, Status::ActiveHealthy).await;
                            check_apart(&live, &project)?;
                            live.insert(project.reference, project);
                        }
                    }
                    Move::Destroy(index) => {
                        let chosen = live.keys().nth(index % live.len().max(1)).copied();
                        if let Some(project) = chosen.and_then(|reference| live.remove(&reference)) {
                            destroy(&store, &project).await;
                        }
                    }
                }
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
