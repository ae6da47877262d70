//! A store that is reached over TLS.

use freehold_core::{Kind, Store};
use freehold_pg::{Config, PgStore};
use sqlx::{Connection, PgConnection};

use crate::fixture::Server;

/// A certificate of its own for 127.0.0.1, made in the server's data folder by the server's user.
const CERTIFY: &str = "COPY (SELECT) TO PROGRAM 'umask 077 && exec openssl req -x509 -newkey rsa:2048 -nodes \
    -days 2 -subj /CN=freehold-test -addext basicConstraints=critical,CA:FALSE \
    -addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.crt 2>/dev/null'";

#[tokio::test]
async fn a_store_is_reached_over_tls_and_only_under_a_certificate_that_is_trusted() {
    let Some(server) = Server::start() else { return };
    let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
    for statement in [CERTIFY, "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"] {
        sqlx::query(statement).execute(&mut admin).await.unwrap();
    }
    let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut admin).await.unwrap();
    let url = |how: &str| format!("{}?{how}", server.url("postgres"));

    // The server reads its files anew in its own time.
    let encrypted = url("sslmode=require");
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while let Err(error) = PgConnection::connect(&encrypted).await {
        assert!(tokio::time::Instant::now() < until, "{error}");
        tokio::task::yield_now().await;
    }
    let trusted = url(&format!("sslmode=verify-full&sslrootcert={data}/server.crt"));
    for url in [encrypted, trusted] {
        let store = PgStore::connect(&Config::new(url)).await.unwrap();
        store.now().await.unwrap();
        let plain: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
             WHERE application_name = 'freehold' AND NOT ssl",
        )
        .fetch_one(&mut admin)
        .await
        .unwrap();
        assert_eq!(plain, 0, "some connections are in clear");
        store.close().await;
    }

    let mut strangers = Config::new(url("sslmode=verify-full"));
    strangers.acquire_timeout_secs = 5;
    let error = PgStore::connect(&strangers).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert!(error.chain().contains("certificate"), "{}", error.chain());
}
