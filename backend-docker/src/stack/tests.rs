use std::{collections::BTreeMap, fs, path::Path};

use freehold_core::{SecretName, SecretString, stack::Protocol};
use tempfile::TempDir;

use super::*;

/// A manifest for the service `db`, with these lines behind it.
pub(crate) fn manifest(lines: &str) -> String {
    format!(
        "name = \"small\"\n[database]\nservice = \"db\"\nport = 5432\nuser = \"postgres\"\nname = \"postgres\"\npassword = \
         \"password\"\n[[secrets]]\nname = \"password\"\nvariable = \"PASSWORD\"\ngenerate = {{ kind = \"token\", length = 32 \
         }}\n{lines}"
    )
}

/// A folder with these files.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// The stack in a folder.
pub(crate) fn load(folder: impl AsRef<Path>) -> Result<Stack> {
    Stack::load(folder.as_ref(), &StackSource::new(folder.as_ref()))
}

/// The folder of a stack that has no manifest, may mount anything, and was never planned.
pub(crate) fn bare(folder: &Path) -> Result<Stack> {
    let manifest_text = String::from("name = \"bare\"");
    let manifest = Manifest::parse(&manifest_text)?;
    Stack::parse(folder, &StackSource::new(folder), manifest_text, manifest)
}

/// The same, which may mount what is below a path of the machine.
pub(crate) fn load_allowing(folder: &Path, path: &str) -> Result<Stack> {
    let source = StackSource { allowed_mounts: vec![path.into()], ..StackSource::new(folder) };
    Stack::load(folder, &source)
}

/// A stack of this Compose file, this manifest (lines behind the usual ones) and this `.env`.
pub(crate) fn stack(compose: &str, manifest_lines: &str, env: &str) -> Result<Stack> {
    let manifest = manifest(manifest_lines);
    let folder = folder(&[("compose.yaml", compose), ("freehold.toml", &manifest), (".env", env)]);
    load(folder.path())
}

/// A project of a stack, its secrets all `hunter2`.
pub(crate) fn runtime(stack: &Stack) -> Runtime {
    let mut runtime = stack.made_up_runtime().unwrap();
    for secret in runtime.secrets.values_mut() {
        *secret = SecretString::from("hunter2");
    }
    runtime
}

pub(crate) fn webapp() -> Stack {
    load(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/stacks/webapp")).unwrap()
}

fn wrong(compose: &str, manifest_lines: &str, env: &str) -> String {
    stack(compose, manifest_lines, env).unwrap_err().to_string()
}

const DB: &str = "services:\n  db: {image: postgres, environment: {PASSWORD: $PASSWORD, LEVEL: $LEVEL}}\n";

#[test]
fn a_stack_says_what_the_control_plane_must_know() {
    let stack = webapp();
    let spec = stack.spec();
    assert_eq!(spec.name.as_str(), "webapp");
    assert!(spec.digest.starts_with("sha256:") && spec.digest.len() == 71, "{}", spec.digest);
    let services: Vec<_> =
        spec.services.iter().map(|service| (service.name.as_str(), service.default_on)).collect();
    assert_eq!(services, [("db", true), ("migrate", true), ("pooler", true), ("proxy", true)]);
    let ports: Vec<_> =
        spec.ports.iter().map(|port| (port.service.as_str(), port.container_port, port.protocol)).collect();
    let tcp = Protocol::Tcp;
    assert_eq!(ports, [("db", 5432, tcp), ("pooler", 6432, tcp), ("proxy", 8080, tcp), ("proxy", 5433, tcp)]);
    assert_eq!(spec.secrets.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(), ["db_password"]);
    assert_eq!((spec.database.as_ref().unwrap().port, spec.gateway.as_ref().unwrap().port), (5432, 8080));
    assert_eq!(spec.data, ["./volumes/db/data"]);
    assert_eq!(spec.first_run.as_ref().unwrap().as_str(), "db");
}

#[test]
fn the_digest_follows_content_and_nothing_else() {
    let files = |sql: &str, data: &str| {
        let compose = "services:\n  db: {image: postgres, volumes: ['./sql:/sql', './data:/data', './absent:/absent']}\n";
        let manifest = manifest("[[data]]\npath = \"./data\"\nvolume = \"data\"\n");
        let files = [
            ("compose.yaml", compose),
            ("freehold.toml", &manifest),
            ("sql/1.sql", sql),
            ("data/PG_VERSION", data),
        ];
        load(folder(&files).path()).unwrap().spec().digest.clone()
    };
    assert_eq!(files("select 1", "15"), files("select 1", "17"));
    assert_ne!(files("select 1", "15"), files("select 2", "15"));
}

#[test]
fn variables_come_from_the_project_before_the_file() {
    let stack = stack(
        DB,
        "[[urls]]\nvariable = \"URL\"\nvalue = \"http://{public_host}\"\n",
        "LEVEL=info\nPASSWORD=change-me\nDSN=u:${PASSWORD}@${URL}\n",
    )
    .unwrap();
    let mut runtime = runtime(&stack);
    runtime.variables.insert("LEVEL".into(), "debug".into());
    let variables = stack.variables(&runtime, "example.org").unwrap();
    let expected = [
        ("DSN", "u:hunter2@http://example.org"),
        ("LEVEL", "debug"),
        ("PASSWORD", "hunter2"),
        ("URL", "http://example.org"),
    ];
    assert_eq!(variables, BTreeMap::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned()))));
}

#[test]
fn the_environment_of_this_process_is_never_read() {
    // PATH is set wherever tests run.
    let stack = stack("services:\n  db: {image: 'postgres:${PATH:-15}'}\n", "", "").unwrap();
    let variables = stack.variables(&runtime(&stack), "x").unwrap();
    assert_eq!(stack.compose(&variables).unwrap().services[0].image, "postgres:15");
}

#[test]
fn a_variable_that_a_secret_sets_or_nobody_reads_is_refused() {
    let stack = stack(DB, "", "").unwrap();
    let with = |name: &str| {
        let mut runtime = runtime(&stack);
        runtime.variables.insert(name.into(), "x".into());
        stack.variables(&runtime, "x").unwrap_err().to_string()
    };
    assert_eq!(with("PASSWORD"), "variables.PASSWORD: is set by the secret password: choose that");
    assert!(with("postgres").contains("reads no such variable"));
    assert_eq!(with("LEVLE"), "variables.LEVLE: stack small reads no such variable");
}

#[test]
fn whatever_is_wrong_with_the_folder_is_said_at_load() {
    let nothing = TempDir::new().unwrap();
    let error = load(nothing.path()).unwrap_err().to_string();
    assert!(error.starts_with("freehold.toml: there is no such file"), "{error}");
    assert!(load("/nowhere/at/all").unwrap_err().to_string().starts_with("read /nowhere"));
    let no_file = folder(&[("freehold.toml", &manifest(""))]);
    let error = load(no_file.path()).unwrap_err().to_string();
    assert!(error.contains("it is called compose.yaml, compose.yml, docker-compose.yml"), "{error}");

    for (compose, manifest, env, message) in [
        (DB, "[services.web]\n", "", "freehold.toml: services.web: compose.yaml has no such service"),
        (
            DB,
            "[pooler]\nservice = \"pooler\"\nport = 1\n",
            "",
            "freehold.toml: pooler.service: \"pooler\" is no service",
        ),
        (
            DB,
            "[[urls]]\nvariable = \"URL\"\nvalue = \"{port:db/80}\"\n",
            "",
            "freehold.toml: urls.URL: {port:db/80} is neither",
        ),
        (
            DB,
            "[[data]]\npath = \"./data\"\nvolume = \"data\"\n",
            "",
            "freehold.toml: data[0]: no service mounts ./data",
        ),
        (DB, "", "COMPOSE_FILE=compose.yaml:b.yml", "b.yml: there is no such file"),
        (DB, "", "COMPOSE_FILE=../b.yml", ".env: COMPOSE_FILE: \"../b.yml\" lies outside"),
        (DB, "", "COMPOSE_FILE=a/b.yml", ".env: COMPOSE_FILE: \"a/b.yml\" comes first and lies deeper"),
        (DB, "", "COMPOSE_FILE=other.yml", "other.yml: there is no such file"),
        (DB, "", "A='x", ".env:1: a value without its closing '"),
        (
            "services:\n  db: {image: x, env_file: db.env}\n",
            "",
            "",
            "compose.yaml: services.db.env_file: db.env is not there",
        ),
        (
            "services:\n  db: {image: x, env_file: ../db.env}\n",
            "",
            "",
            "compose.yaml: services.db.env_file: ../db.env lies outside",
        ),
        (
            "services:\n  db: {image: '${TAG:?set TAG}'}\n",
            "",
            "",
            "compose.yaml:2: services.db.image: the variable TAG is not set: set TAG",
        ),
    ] {
        let error = wrong(compose, manifest, env);
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn a_link_out_of_the_folder_is_refused() {
    let folder = folder(&[
        ("compose.yaml", "services:\n  db: {image: x, volumes: ['./conf:/conf']}\n"),
        ("freehold.toml", &manifest("")),
    ]);
    fs::create_dir(folder.path().join("conf")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("conf/name")).unwrap();
    let error = load(folder.path()).unwrap_err().chain();
    assert!(
        error.contains("read conf of the stack") && error.contains("conf/name is a link that leads out"),
        "{error}"
    );
}

#[test]
fn no_secret_is_in_what_a_stack_prints() {
    let stack = stack(DB, "", "LEVEL=hunter2").unwrap();
    assert!(!format!("{stack:?}").contains("hunter2"));
    assert!(stack.spec().secrets.iter().any(|secret| secret.name == SecretName::new("password").unwrap()));
}

#[test]
fn a_path_is_inside_or_outside_whatever_it_is_written_like() {
    for (path, inside) in [("./a/b", "a/b"), ("a/../b", "b"), (".", ""), ("./a//b/./", "a/b")] {
        assert_eq!(place(path), Place::Inside(inside.into()), "{path}");
    }
    for path in ["/var/run/docker.sock", "../x", "a/../../x"] {
        assert!(matches!(place(path), Place::Outside(_)), "{path}");
    }
}

#[test]
fn no_path_climbs_out_of_where_it_says_that_it_is() {
    assert_eq!(place("./a/../b"), Place::Inside("b".into()));
    assert_eq!(place("./a/../../b"), Place::Outside("./a/../../b".into()));
    assert_eq!(place("/srv/allowed/../secret/./x"), Place::Outside("/srv/secret/x".into()));
    assert_eq!(place("/../../etc"), Place::Outside("/etc".into()));
}

#[test]
fn settings_are_those_that_the_files_read_with_the_values_of_the_folder_and_no_secrets() {
    let compose = "services:\n  db:\n    image: x\n    environment:\n      ROWS: ${ROWS:-1000}\n      SITE: ${SITE}\n      \
        MAIL: ${MAIL}\n      LIMIT: 5\n";
    let env = "SITE=http://a\nMAIL=hunter2\nUNREAD=1\n";
    let settings =
        "[settings]\nshown = ['ROWS', 'SITE', 'UNREAD', 'db/LIMIT', 'db/NONE', 'gone/X']\nhidden = ['MAIL']";
    let stack = stack(compose, settings, env).unwrap();
    let found: Vec<_> =
        stack.spec().variables.iter().map(|one| (one.name.as_str(), one.default.as_deref())).collect();
    let expected =
        [("ROWS", Some("1000")), ("SITE", Some("http://a")), ("db/LIMIT", Some("5")), ("MAIL", None)];
    assert_eq!(found, expected);
    let secret = "[settings]\nshown = ['SITE']\n[[secrets]]\nname = 'p'\nvariable = 'SITE'\n\
        generate = { kind = 'hex', bytes = 8 }\n";
    let refused = wrong(compose, secret, env);
    assert!(refused.contains("SITE holds a secret"), "{refused}");
}

#[test]
fn a_mounted_file_that_is_not_in_the_folder_is_refused_and_a_folder_begins_empty() {
    let compose = |mount: &str| {
        format!(
            "services: {{db: {{image: db, volumes: [{mount:?}], environment: {{A: '${{PASSWORD}}'}}, ports: ['1:5432']}}}}"
        )
    };
    for mount in ["./api/entrypoint.sh:/usr/local/bin/entrypoint:ro", "./conf/main:/etc/app/app.conf"] {
        let error = stack(&compose(mount), "", "").unwrap_err().to_string();
        let (source, target) = mount.trim_end_matches(":ro")[2..].split_once(':').unwrap();
        let expected = format!(
            "services.db.volumes: {source} is not in the stack's folder, and is a file by its name, so that db would find an empty \
             folder at {target}: put the file there"
        );
        assert!(error.contains(&expected), "{error}");
    }
    for mount in [
        "./functions:/home/deno/functions",
        "./conf.d:/etc/app/conf.d",
        "./data-1.5:/data",
        "./.cache:/cache",
    ] {
        stack(&compose(mount), "", "").unwrap();
    }
    let manifest = manifest("");
    let folder = folder(&[
        ("compose.yaml", &compose("./api/entrypoint.sh:/entrypoint")),
        ("freehold.toml", &manifest),
        (".env", ""),
        ("api/entrypoint.sh", "#!/bin/sh"),
    ]);
    load(folder.path()).unwrap();
}

#[test]
fn a_secret_whose_file_is_not_in_the_folder_is_refused() {
    let compose = "
services: {db: {image: db, secrets: [key], environment: {A: '${PASSWORD}'}, ports: ['1:5432']}}
secrets: {key: {file: ./keys/key}}";
    let error = stack(compose, "", "").unwrap_err().to_string();
    assert!(
        error.contains("services.db.secrets: ./keys/key is not in the stack's folder: put the file there"),
        "{error}"
    );
}
