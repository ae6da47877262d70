//! PostgreSQL from a mirror on this machine: an archive in the layout of Maven's, made of the programs that are here.

use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
};

use freehold_core::{Kind, Store};
use freehold_pg::{Binaries, Config, EmbeddedServer, PgStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::scratch::Scratch;

/// A zip that holds a tar, compressed by xz, that holds `bin` and `lib`.
fn archive() -> Vec<u8> {
    let installed = fs::read_dir("/usr/lib/postgresql").unwrap().next().unwrap().unwrap().path();
    let mut tar = tar::Builder::new(Vec::new());
    for program in ["initdb", "pg_ctl", "postgres"] {
        let file = Path::new("bin").join(program);
        tar.append_path_with_name(installed.join(&file), &file).unwrap();
    }
    for library in ["plpgsql.so", "dict_snowball.so"] {
        let file = Path::new("lib").join(library);
        tar.append_path_with_name(installed.join(&file), &file).unwrap();
    }
    let mut xz = Vec::new();
    lzma_rs::xz_compress(&mut Cursor::new(tar.into_inner().unwrap()), &mut xz).unwrap();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("postgres-linux.txz", stored).unwrap();
    zip.write_all(&xz).unwrap();
    zip.finish().unwrap().into_inner()
}

/// Answers every request for the archive of its version, one after the other, and nothing else.
async fn mirror(archive: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let wanted = "GET /maven2/io/zonky/test/postgres/embedded-postgres-binaries-linux-";
            let (status, body) = if request.starts_with(wanted) {
                ("200 OK", &archive[..])
            } else {
                ("404 Not Found", &[][..])
            };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn programs_that_are_missing_are_downloaded_once() {
    let Some(scratch) = Scratch::new() else { return };
    let mut config = scratch.config();
    config.binaries = Binaries::Downloaded;
    config.mirror = mirror(archive()).await;
    let server = EmbeddedServer::start(&config).await.unwrap();
    let program = fs::read_link(format!("/proc/{}/exe", scratch.process())).unwrap();
    assert!(program.starts_with(scratch.folder()), "{}", program.display());
    PgStore::connect(&Config::new(server.url())).await.unwrap().now().await.unwrap();
    server.stop().await.unwrap();

    config.mirror = "http://127.0.0.1:1".into();
    EmbeddedServer::start(&config).await.unwrap();
}

#[tokio::test]
async fn a_download_that_fails_says_from_where_and_what_else_can_be_done() {
    let Some(scratch) = Scratch::new() else { return };
    let mut config = scratch.config();
    config.binaries = Binaries::Downloaded;
    config.mirror = "http://127.0.0.1:1".into();
    let error = EmbeddedServer::start(&config).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let shown = error.to_string();
    assert!(shown.contains("http://127.0.0.1:1") && shown.contains("apt install postgresql"), "{error:?}");
}

#[tokio::test]
async fn what_is_no_archive_is_not_taken_for_postgresql() {
    let Some(scratch) = Scratch::new() else { return };
    let mut config = scratch.config();
    config.binaries = Binaries::Downloaded;
    config.mirror = mirror(b"not a zip".to_vec()).await;
    assert_eq!(EmbeddedServer::start(&config).await.unwrap_err().kind(), Kind::Unavailable);
    config.mirror = mirror(archive()).await;
    EmbeddedServer::start(&config).await.unwrap();
}
