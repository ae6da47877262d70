//! Both stores of accounts, the one in memory and this one, keep the promises of the trait.

use std::sync::Arc;

use freehold_core::{
    Detail, Kind, OrganizationId, ProjectRef,
    accounts::{
        AccountStore, Grant, Identity, Names, NewAccessToken, NewInvitation, Person, PersonId,
        ProjectDefaults, Role,
    },
    memory::MemoryAccounts,
};
use futures_util::future::join_all;
use time::{Duration, OffsetDateTime};

use crate::fixture::Database;

pub(crate) async fn stores() -> Vec<Arc<dyn AccountStore>> {
    let mut stores: Vec<Arc<dyn AccountStore>> = vec![Arc::new(MemoryAccounts::new())];
    if let Some(database) = Database::new().await {
        stores.push(Arc::new(database.store().await));
    }
    stores
}

fn identity(name: &str) -> Identity {
    Identity::new(name.parse().unwrap(), &format!("{name}@example.com")).unwrap()
}

async fn person(store: &dyn AccountStore, name: &str) -> Person {
    store.enroll(&identity(name)).await.unwrap().0
}

fn organization(id: &str) -> OrganizationId {
    id.parse().unwrap()
}

fn project(letter: char) -> ProjectRef {
    letter.to_string().repeat(20).parse().unwrap()
}

#[tokio::test]
async fn a_person_is_enrolled_once_and_their_address_follows() {
    for store in stores().await {
        let identity = identity("ada");
        let enrolled = join_all((0..4).map(|_| store.enroll(&identity))).await;
        let new = enrolled.iter().filter(|result| result.as_ref().unwrap().1).count();
        assert_eq!(new, 1, "{store:?}");
        let ada = person(&*store, "ada").await;
        assert_eq!((ada.email.as_str(), ada.names.username.as_str()), ("ada@example.com", "ada"));
        let moved = Identity::new(ada.subject.clone(), "ada@elsewhere.org").unwrap();
        assert_eq!(store.enroll(&moved).await.unwrap().0.email, "ada@elsewhere.org");
        let names = Names { username: "countess".into(), first: Some("Ada".into()), last: None };
        assert_eq!(store.rename_person(ada.id, &names).await.unwrap().names, names);
        assert_eq!(store.person(&ada.subject).await.unwrap().unwrap().names, names);
        assert_eq!(store.person(&"nobody".parse().unwrap()).await.unwrap(), None);
        assert_eq!(store.rename_person(PersonId(-1), &names).await.unwrap_err().kind(), Kind::NotFound);
    }
}

#[tokio::test]
async fn an_organization_has_an_id_of_its_own_and_is_listed_for_its_members() {
    for store in stores().await {
        let (ada, bob) = (person(&*store, "ada").await, person(&*store, "bob").await);
        let acme = store.create_organization(&organization("acme"), "Acme", Some(ada.id)).await.unwrap();
        store.create_organization(&organization("umbra"), "Umbra", None).await.unwrap();
        let again = store.create_organization(&organization("acme"), "Other", None).await.unwrap_err();
        assert_eq!(again.kind(), Kind::AlreadyExists, "{store:?}");
        let ownerless = store.create_organization(&organization("x"), "X", Some(PersonId(-1))).await;
        assert_eq!(ownerless.unwrap_err().kind(), Kind::NotFound, "{store:?}");
        assert_eq!(store.organization(&organization("x")).await.unwrap(), None, "{store:?}");
        let hers = store.organizations(Some(ada.id)).await.unwrap();
        assert_eq!(hers.iter().map(|one| &one.id).collect::<Vec<_>>(), [&acme.id]);
        assert_eq!(store.organizations(Some(bob.id)).await.unwrap(), []);
        assert_eq!(store.organizations(None).await.unwrap().len(), 2);
        let renamed = store.rename_organization(&acme.id, "Acme Ltd").await.unwrap();
        assert_eq!(store.organization(&acme.id).await.unwrap(), Some(renamed));
        let unknown = store.rename_organization(&organization("none"), "None").await.unwrap_err();
        assert_eq!(unknown.kind(), Kind::NotFound);
    }
}

#[tokio::test]
async fn what_a_member_holds_is_kept_by_role_and_scope() {
    for store in stores().await {
        let (ada, bob) = (person(&*store, "ada").await, person(&*store, "bob").await);
        let acme = organization("acme");
        store.create_organization(&acme, "Acme", Some(ada.id)).await.unwrap();
        let held =
            [Grant::on(Role::Administrator, [project('a'), project('b')]), Grant::everywhere(Role::ReadOnly)];
        store.put_grants(&acme, bob.id, &[], &held).await.unwrap();
        assert_eq!(store.memberships(bob.id).await.unwrap()[0].grants, held, "{store:?}");
        let members = store.members(&acme).await.unwrap();
        assert_eq!(members.iter().map(|member| member.person.id).collect::<Vec<_>>(), [ada.id, bob.id]);
        assert_eq!(members[1].grants, held);
        store.put_grants(&acme, bob.id, &held, &[]).await.unwrap();
        assert_eq!(store.memberships(bob.id).await.unwrap(), []);
        for (organization, person) in [(organization("none"), bob.id), (acme, PersonId(-1))] {
            let error = store.put_grants(&organization, person, &[], &held).await.unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound, "{store:?}");
        }
    }
}

#[tokio::test]
async fn the_last_owner_stays_also_when_the_last_two_go_at_once() {
    for store in stores().await {
        let (ada, bob) = (person(&*store, "ada").await, person(&*store, "bob").await);
        let acme = organization("acme");
        store.create_organization(&acme, "Acme", Some(ada.id)).await.unwrap();
        let (owner, demoted) = ([Grant::everywhere(Role::Owner)], [Grant::on(Role::Owner, [project('a')])]);
        let error = store.put_grants(&acme, ada.id, &owner, &demoted).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{store:?}");
        assert_eq!(store.memberships(ada.id).await.unwrap()[0].grants, [Grant::everywhere(Role::Owner)]);
        store.put_grants(&acme, bob.id, &[], &owner).await.unwrap();
        let developer = [Grant::everywhere(Role::Developer)];
        let gone = join_all([ada.id, bob.id].map(|id| store.put_grants(&acme, id, &owner, &developer))).await;
        assert_eq!(gone.iter().filter(|result| result.is_err()).count(), 1, "{store:?}: {gone:?}");
    }
}

#[tokio::test]
async fn whoever_decided_on_what_a_member_held_before_brings_nothing_back() {
    for store in stores().await {
        let (ada, bob) = (person(&*store, "ada").await, person(&*store, "bob").await);
        let acme = organization("acme");
        store.create_organization(&acme, "Acme", Some(ada.id)).await.unwrap();
        let administrator = Grant::everywhere(Role::Administrator);
        let reader = Grant::on(Role::ReadOnly, [project('a')]);
        let held = [administrator.clone(), reader.clone()];
        store.put_grants(&acme, bob.id, &[], &held).await.unwrap();
        // Somebody looks; the administrator's role is taken; then they write what they made of what they saw.
        let seen = store.memberships(bob.id).await.unwrap().remove(0).grants;
        let left = [reader.clone()];
        store.put_grants(&acme, bob.id, &held, &left).await.unwrap();
        let wider = [administrator, Grant::on(Role::ReadOnly, [project('a'), project('b')])];
        let error = store.put_grants(&acme, bob.id, &seen, &wider).await.unwrap_err();
        assert_eq!((error.kind(), error.detail()), (Kind::Conflict, Some(&Detail::LostRace)), "{store:?}");
        assert_eq!(store.memberships(bob.id).await.unwrap()[0].grants, left, "{store:?}");
        let error = store.put_grants(&acme, bob.id, &[], &seen).await.unwrap_err();
        assert!(error.is_lost_race(), "{store:?}: somebody who is a member was taken for none");
        // Of two who saw the same, one is told.
        let narrower = [Grant::on(Role::ReadOnly, [project('c')])];
        let both = join_all([&narrower[..], &[]].map(|after| store.put_grants(&acme, bob.id, &left, after)));
        assert_eq!(both.await.iter().filter(|put| put.is_err()).count(), 1, "{store:?}");
    }
}

#[tokio::test]
async fn the_superuser_is_one_person_and_follows_a_new_identity() {
    for store in stores().await {
        let first = store.bind_superuser(&identity("root")).await.unwrap();
        assert!(first.superuser);
        assert_eq!(store.bind_superuser(&identity("root")).await.unwrap(), first, "{store:?}");
        // The sign-in service knows them anew: the person stays who they are.
        let second = store.bind_superuser(&identity("root2")).await.unwrap();
        assert_eq!((second.id, second.email.as_str()), (first.id, "root2@example.com"));
        assert_eq!(store.person(&first.subject).await.unwrap(), None);
        // Somebody who is there already takes the place, and nobody shares it.
        let ada = person(&*store, "ada").await;
        assert_eq!(store.bind_superuser(&identity("ada")).await.unwrap().id, ada.id, "{store:?}");
        assert!(!person(&*store, "root2").await.superuser);
    }
}

#[tokio::test]
async fn a_token_acts_for_its_owner_until_it_expires_or_is_deleted() {
    for store in stores().await {
        let (ada, bob) = (person(&*store, "ada").await, person(&*store, "bob").await);
        let token = |digest: u8, expires_at| NewAccessToken {
            owner: ada.id,
            name: "ci".into(),
            alias: "sbp_12…".into(),
            digest: [digest; 32],
            expires_at,
        };
        let now = OffsetDateTime::now_utc();
        let lasting = store.create_token(&token(1, Some(now + Duration::HOUR))).await.unwrap();
        let expired = store.create_token(&token(2, Some(now - Duration::SECOND))).await.unwrap();
        assert_eq!(lasting.last_used_at, None);
        let (owner, number) = store.use_token(&[1; 32]).await.unwrap().unwrap();
        assert_eq!((owner.id, number), (ada.id, lasting.id), "{store:?}");
        assert_eq!(store.use_token(&[2; 32]).await.unwrap(), None, "{store:?}");
        assert_eq!(store.use_token(&[3; 32]).await.unwrap(), None);
        let kept = store.tokens(ada.id).await.unwrap();
        assert_eq!(kept.iter().map(|token| token.id).collect::<Vec<_>>(), [expired.id, lasting.id]);
        let used = kept[1].last_used_at.unwrap();
        assert_eq!(kept[0].last_used_at, None);
        store.use_token(&[1; 32]).await.unwrap();
        assert_eq!(store.tokens(ada.id).await.unwrap()[1].last_used_at, Some(used), "noted once a minute");
        assert!(!store.delete_token(bob.id, lasting.id).await.unwrap(), "another's token");
        assert!(store.delete_token(ada.id, lasting.id).await.unwrap());
        assert_eq!(store.use_token(&[1; 32]).await.unwrap(), None);
        let ownerless = NewAccessToken { owner: PersonId(-1), ..token(4, None) };
        assert_eq!(store.create_token(&ownerless).await.unwrap_err().kind(), Kind::NotFound, "{store:?}");
    }
}

#[tokio::test]
async fn an_organizations_defaults_are_kept_and_taken_back() {
    for store in stores().await {
        let acme = organization("acme");
        let made = store.create_organization(&acme, "Acme", None).await.unwrap();
        assert_eq!(made.defaults, ProjectDefaults::default());
        for defaults in [
            ProjectDefaults {
                target: Some("attic".parse().unwrap()),
                stack: Some("supabase".parse().unwrap()),
                excluded: Some(vec!["storage".parse().unwrap(), "auth".parse().unwrap()]),
            },
            ProjectDefaults { excluded: Some(vec![]), ..ProjectDefaults::default() },
            ProjectDefaults::default(),
        ] {
            let set = store.set_defaults(&acme, &defaults).await.unwrap();
            assert_eq!((&set.name, &set.defaults), (&made.name, &defaults), "{store:?}");
            assert_eq!(store.organization(&acme).await.unwrap().unwrap().defaults, defaults);
        }
        let nowhere = store.set_defaults(&organization("nowhere"), &ProjectDefaults::default()).await;
        assert_eq!(nowhere.unwrap_err().kind(), Kind::NotFound);
    }
}

fn invitation(organization: &OrganizationId, name: &str, grant: Grant, digest: u8) -> NewInvitation {
    NewInvitation {
        organization: organization.clone(),
        email: format!(" {name}@Example.com"),
        grant,
        digest: [digest; 32],
        expires_at: OffsetDateTime::now_utc() + Duration::days(7),
    }
}

#[tokio::test]
async fn an_invitation_is_accepted_once_by_whom_it_is_for_and_takes_nothing_from_them() {
    for store in stores().await {
        let (acme, ada, bob) =
            (organization("acme"), person(&*store, "ada").await, person(&*store, "bob").await);
        store.create_organization(&acme, "Acme", Some(ada.id)).await.unwrap();
        let developer = Grant::everywhere(Role::Developer);
        let first = store.invite(&invitation(&acme, "bob", developer.clone(), 1), &Role::ALL).await.unwrap();
        assert_eq!((first.email.as_str(), &first.grant), ("bob@example.com", &developer));
        let narrow = Grant::on(Role::Developer, [project('a')]);
        let again = store.invite(&invitation(&acme, "bob", narrow.clone(), 2), &Role::ALL).await.unwrap();
        assert_eq!((again.id, &again.grant), (first.id, &narrow), "{store:?}");
        assert_eq!(store.invitation(&[1; 32]).await.unwrap(), None, "the first token is worth nothing");
        assert_eq!(store.invitations(&acme).await.unwrap(), std::slice::from_ref(&again));
        assert_eq!(store.invitation(&[2; 32]).await.unwrap(), Some(again));
        let stolen = store.accept_invitation(&[2; 32], ada.id).await.unwrap_err();
        assert_eq!(stolen.kind(), Kind::Conflict, "{store:?}");
        assert_eq!(store.invitations(&acme).await.unwrap().len(), 1, "who may not accept it leaves it there");
        let accepted = join_all((0..2).map(|_| store.accept_invitation(&[2; 32], bob.id))).await;
        let (good, bad): (Vec<_>, Vec<_>) = accepted.into_iter().partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (1, 1), "{store:?}");
        assert_eq!(store.memberships(bob.id).await.unwrap()[0].grants, [narrow]);
        let member = store.invite(&invitation(&acme, "bob", developer, 3), &Role::ALL).await.unwrap_err();
        assert_eq!(member.kind(), Kind::AlreadyExists, "{store:?}");

        let carol = person(&*store, "carol").await;
        let reader = Grant::everywhere(Role::ReadOnly);
        let late = NewInvitation {
            expires_at: OffsetDateTime::now_utc() - Duration::days(1),
            ..invitation(&acme, "carol", reader.clone(), 4)
        };
        let late = store.invite(&late, &Role::ALL).await.unwrap();
        let expired = store.accept_invitation(&[4; 32], carol.id).await.unwrap_err();
        assert!(expired.to_string().contains("expired"), "{expired}");
        assert!(store.delete_invitation(&acme, late.id, &Role::ALL).await.unwrap());
        assert!(!store.delete_invitation(&acme, late.id, &Role::ALL).await.unwrap());
        let nowhere =
            store.invite(&invitation(&organization("nowhere"), "carol", reader, 5), &Role::ALL).await;
        assert_eq!(nowhere.unwrap_err().kind(), Kind::NotFound);
    }
}

#[tokio::test]
async fn an_invitation_stays_when_whoever_changes_it_may_not_take_it_back() {
    for store in stores().await {
        let acme = organization("acme");
        let ada = person(&*store, "ada").await;
        store.create_organization(&acme, "Acme", Some(ada.id)).await.unwrap();
        let owner = invitation(&acme, "bob", Grant::everywhere(Role::Owner), 1);
        let made = store.invite(&owner, &[]).await.unwrap();
        let lesser = [Role::Developer, Role::ReadOnly];
        let developer = invitation(&acme, "bob", Grant::everywhere(Role::Developer), 2);
        let replaced = store.invite(&developer, &lesser).await.unwrap_err();
        let above = Detail::AboveCaller { role: Role::Owner };
        assert_eq!((replaced.kind(), replaced.detail()), (Kind::Conflict, Some(&above)), "{store:?}");
        let deleted = store.delete_invitation(&acme, made.id, &lesser).await.unwrap_err();
        assert_eq!(deleted.detail(), Some(&above), "{store:?}");
        assert_eq!(store.invitation(&[1; 32]).await.unwrap(), Some(made.clone()), "{store:?}");
        assert_eq!(store.invitation(&[2; 32]).await.unwrap(), None);
        let again = store.invite(&developer, &Role::ALL).await.unwrap();
        assert_eq!((again.id, again.grant.role), (made.id, Role::Developer));
        assert!(!store.delete_invitation(&organization("other"), made.id, &Role::ALL).await.unwrap());
        assert!(store.delete_invitation(&acme, made.id, &lesser).await.unwrap(), "{store:?}");
    }
}

#[tokio::test]
async fn an_organization_goes_with_all_that_is_held_in_it_and_nothing_else() {
    for store in stores().await {
        let (acme, other) = (organization("acme"), organization("other"));
        let ada = person(&*store, "ada").await;
        for id in [&acme, &other] {
            store.create_organization(id, "Name", Some(ada.id)).await.unwrap();
            let reader = Grant::everywhere(Role::ReadOnly);
            let digest = if *id == acme { 1 } else { 2 };
            store.invite(&invitation(id, "bob", reader, digest), &Role::ALL).await.unwrap();
        }
        store.delete_organization(&acme).await.unwrap();
        assert_eq!(store.organization(&acme).await.unwrap(), None);
        assert_eq!(store.invitation(&[1; 32]).await.unwrap(), None);
        let left: Vec<_> = store.memberships(ada.id).await.unwrap();
        assert_eq!((left.len(), &left[0].organization), (1, &other), "{store:?}");
        assert!(store.invitation(&[2; 32]).await.unwrap().is_some());
        assert_eq!(store.delete_organization(&acme).await.unwrap_err().kind(), Kind::NotFound);
        // Its id stays taken: what is on record under it is not another's.
        let again = store.create_organization(&acme, "Other", Some(ada.id)).await.unwrap_err();
        assert_eq!(again.kind(), Kind::AlreadyExists, "{store:?}");
        assert!(
            again.to_string().contains("acme") && again.to_string().contains("choose another"),
            "{again}"
        );
        assert_eq!(store.memberships(ada.id).await.unwrap().len(), 1, "{store:?}");
        assert!(store.rename_organization(&acme, "Name").await.is_err(), "{store:?}");
        assert!(store.set_defaults(&acme, &ProjectDefaults::default()).await.is_err(), "{store:?}");
        let owner = [Grant::everywhere(Role::Owner)];
        assert!(store.put_grants(&acme, ada.id, &[], &owner).await.is_err(), "{store:?}");
        let reader = invitation(&acme, "bob", Grant::everywhere(Role::ReadOnly), 3);
        assert!(store.invite(&reader, &Role::ALL).await.is_err(), "{store:?}");
        assert_eq!(store.organizations(None).await.unwrap().len(), 1, "{store:?}");
    }
}
