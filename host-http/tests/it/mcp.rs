//! Supabase's own MCP server in front of the host: what its tools ask is answered as they take it.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    people::{People, session},
    postgres_meta::{World, fetched},
};

/// The server, and a client of its protocol (Model Context Protocol 2025-06-18, over standard input and output).
struct Mcp {
    _server: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    count: u64,
}

impl Mcp {
    /// The server with a personal access token of the owner's, before the host of these people.
    async fn new(people: &People) -> Option<Self> {
        let program = fetched("mcp-server")?;
        let path = "/api/platform/profile/access-tokens";
        let made = people.send("POST", path, Some(&session("owner")), &json!({ "name": "mcp" })).await.json();
        let token = made["access_token"].as_str().unwrap();
        assert!(token.starts_with("sbp_"), "{token}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(warp::serve(people.filter.clone()).incoming(listener).run());
        let mut server = Command::new(program)
            .args(["--api-url", &url])
            // Its tool for documentation asks supabase.com.
            .args(["--features", "account,database,debugging,development,functions,branching,storage"])
            .env("SUPABASE_ACCESS_TOKEN", token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = server.stdin.take().unwrap();
        let output = BufReader::new(server.stdout.take().unwrap()).lines();
        let mut mcp = Self { _server: server, input, output, count: 0 };
        let who = json!({ "name": "freehold-tests", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who });
        mcp.ask("initialize", &hello).await;
        mcp.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        Some(mcp)
    }

    async fn say(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.count += 1;
        let id = self.count;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        while let Some(line) = self.output.next_line().await.unwrap() {
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
        }
        panic!("the MCP server ended");
    }

    /// What a tool says, and whether that is an error.
    async fn call(&mut self, tool: &str, arguments: Value) -> (bool, String) {
        let reply = self.ask("tools/call", &json!({ "name": tool, "arguments": arguments })).await;
        let result = &reply["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{tool}: {reply}"));
        (result["isError"] == true, text.to_owned())
    }

    async fn works(&mut self, tool: &str, arguments: Value) -> String {
        let (failed, text) = self.call(tool, arguments).await;
        assert!(!failed, "{tool}: {text}");
        text
    }

    async fn fails(&mut self, tool: &str, arguments: Value) -> String {
        let (failed, text) = self.call(tool, arguments).await;
        assert!(failed, "{tool}: {text}");
        text
    }
}

async fn until(people: &People, project: &str, status: &str) {
    let reference = project.parse().unwrap();
    let operation = people.control.project(&reference).await.unwrap().status_operation.unwrap();
    people.control.wait_operation(operation, std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(people.control.project(&reference).await.unwrap().status.as_str(), status);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mcp_servers_account_tools_take_a_project_through_its_life() {
    let people = People::new().await;
    let Some(mut mcp) = Mcp::new(&people).await else { return };
    assert!(mcp.works("list_organizations", json!({})).await.contains("acme"));
    assert!(mcp.works("get_organization", json!({ "id": "acme" })).await.contains("enterprise"));
    assert!(!mcp.fails("get_organization", json!({ "id": "umbra" })).await.contains("Umbra"));
    let cost = json!({ "type": "project", "organization_id": "acme" });
    let cost = mcp.works("get_cost", cost).await;
    let amount = if cost.contains("10") { 10 } else { 0 };
    let confirm = json!({ "type": "project", "recurrence": "monthly", "amount": amount });
    let confirmed = mcp.works("confirm_cost", confirm).await;
    let confirmed: Value = serde_json::from_str(&confirmed).unwrap_or(Value::String(confirmed));
    let id = confirmed.get("confirmation_id").or(confirmed.get("confirm_cost_id")).unwrap_or(&confirmed);
    let create =
        json!({ "name": "by mcp", "region": "eu-west-1", "organization_id": "acme", "confirm_cost_id": id });
    let made = mcp.works("create_project", create).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    let project = made["ref"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    until(&people, &project, "ACTIVE_HEALTHY").await;
    assert!(mcp.works("list_projects", json!({})).await.contains(&project));
    let named = json!({ "project_id": project });
    assert!(mcp.works("get_project", json!({ "id": project })).await.contains("ACTIVE_HEALTHY"));
    mcp.works("pause_project", named.clone()).await;
    until(&people, &project, "INACTIVE").await;
    mcp.works("restore_project", named.clone()).await;
    until(&people, &project, "ACTIVE_HEALTHY").await;

    mcp.works("get_storage_config", named.clone()).await;
    assert!(mcp.works("get_publishable_keys", named.clone()).await.contains("anon"));
    assert_eq!(mcp.works("list_branches", named.clone()).await, r#"{"branches":[]}"#);
    // What there is not is said, and is no empty list.
    assert!(mcp.fails("list_edge_functions", named.clone()).await.contains("edge functions"));
    let advice = json!({ "project_id": project, "type": "security" });
    assert!(mcp.fails("get_advisors", advice).await.contains("advisors"));
    let logs = json!({ "project_id": project, "sql": "select 1 from logs" });
    assert!(mcp.fails("query_logs", logs).await.contains("logs"));
    assert!(
        mcp.fails("execute_sql", json!({ "project_id": project, "query": "select 1" }))
            .await
            .contains("postgres-meta")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mcp_servers_database_tools_work_on_the_projects_own_database() {
    let Some(world) = World::new().await else { return };
    let Some(mut mcp) = Mcp::new(&world.people).await else { return };
    let project = world.project.to_string();
    let with = |more: Value| {
        let mut arguments = more;
        arguments["project_id"] = json!(project);
        arguments
    };
    let create = "create table notes (id int primary key, body text)";
    mcp.works("apply_migration", with(json!({ "name": "notes", "query": create }))).await;
    assert!(mcp.works("list_migrations", with(json!({}))).await.contains("notes"));
    mcp.works("execute_sql", with(json!({ "query": "insert into notes values (1, 'kept')" }))).await;
    let found = mcp.works("execute_sql", with(json!({ "query": "select body from notes" }))).await;
    assert!(found.contains("kept"), "{found}");
    assert!(mcp.works("list_tables", with(json!({ "verbose": true }))).await.contains("notes"));
    assert!(mcp.works("list_extensions", with(json!({}))).await.contains("plpgsql"));
    assert!(mcp.works("generate_typescript_types", with(json!({}))).await.contains("notes: {"));
    let broken = mcp.fails("execute_sql", with(json!({ "query": "select broken" }))).await;
    assert!(broken.contains("broken"), "{broken}");
}
