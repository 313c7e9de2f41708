import Curl
import Glibc
import JSON
import Postgres

/// A database of its own in a stage's cluster, for several servers at once.
struct SharedDatabase: LogDatabase {
    private let stage: Stage
    private let conninfo: String
    /// The secret of an admin's key; such servers answer nobody without one.
    let key: String

    /// A server on it.
    struct Node {
        let name: String
        let child: Child
        let address: ServerAddress
    }

    private static let name = "shared"
    private static let patience = Duration.seconds(60)

    /// The stage's own server is stopped: it would only be in the way.
    init(on stage: Stage) throws {
        stage.stopServer()
        self.stage = stage
        let connection = try stage.connect()
        defer { connection.close() }
        try connection.execute("CREATE DATABASE \(Self.name)")
        conninfo = try stage.conninfo() + " dbname=\(Self.name)"
        let keys = try stage.start(
            [
                stage.programs.ledger, "keys", "create", "--role", "admin", "--database", conninfo,
            ], name: "keys")
        try keys.finish()
        key = try keys.waitForLine("it told the secret") { line in
            line.hasPrefix("secret: ") ? String(line.dropFirst("secret: ".count)) : nil
        }
    }

    func connect() throws -> Connection {
        try Connection(conninfo, applicationName: "ledger-bench")
    }

    // MARK: Nodes

    /// Starts the node, and has it create the experiment.
    func startFirst() throws -> Node {
        let node = try start("node1")
        _ = try leader(of: [node])
        _ = try node.address.send("PUT", "/v1/resources", Stage.experimentDocument)
        return node
    }

    func start(_ name: String) throws -> Node {
        let child = try stage.start(
            [
                stage.programs.ledger, "serve", "--listen", "127.0.0.1:0", "--database", conninfo,
                "--secrets-key", "\(stage.directory)/secrets.key",
                "--signing-key", "\(stage.directory)/signing.key",
            ], name: name)
        return Node(
            name: name, child: child,
            address: ServerAddress(url: try child.waitForURL(), key: key))
    }

    /// The one of the nodes that leads, once every node is ready and knows which.
    func leader(of nodes: [Node]) throws -> Node {
        let deadline = ContinuousClock.now + Self.patience
        let transfer = Transfer()
        while true {
            let roles = nodes.map { role(of: $0, transfer) }
            let leaders = zip(nodes, roles).filter { $0.1 == "leader" }
            if leaders.count == 1, !roles.contains(nil) { return leaders[0].0 }
            if let ended = nodes.first(where: { $0.child.hasEnded }) {
                throw BenchmarkError("\(ended.name) has ended; it said:\n\(ended.child.output)")
            }
            guard ContinuousClock.now < deadline else {
                throw BenchmarkError("no leader after a minute: the nodes' roles are \(roles)")
            }
            usleep(20_000)
        }
    }

    /// Nil while the node is not ready.
    private func role(of node: Node, _ transfer: Transfer) -> String? {
        let request = node.address.request("GET", "/readyz", timeoutMilliseconds: 2_000)
        guard let answer = try? transfer.perform(request), answer.status == 200 else { return nil }
        return (try? JSONValue.parse(answer.body))?["role"]?.string
    }
}
