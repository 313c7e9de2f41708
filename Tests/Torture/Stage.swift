import Curl
import EventLog
import Glibc
import JSON
import Postgres
import TestSupport

/// Several nodes on one database, made for one run.
package final class Stage: Sendable {
    static let experiment = "TORTURE"

    let nodes: [Node]
    let directory: String
    /// With which clients ask.
    let key: String
    let site: DatabaseSite

    /// Starts PostgreSQL, or a cluster of it, and the nodes, and creates the experiment.
    ///
    /// The nodes' logs go to `directory`, and stay there.
    package init(nodes count: Int, directory: String, isCluster: Bool = false) throws {
        self.directory = directory
        let site = try DatabaseSite.make(isCluster: isCluster, directory: directory)
        self.site = site
        do {
            key = try Self.createKey(site)
        } catch {
            site.remove(directory: directory)
            throw error
        }
        nodes = (0..<count).map {
            Node($0, directory: directory, on: site, isAlone: count == 1)
        }
        do {
            for node in nodes { try node.start() }
            try createExperiment()
        } catch {
            stop()
            throw error
        }
    }

    /// Stops all, and removes the database.
    package func stop() {
        for node in nodes {
            node.signal(SIGCONT)
            node.end(SIGKILL)
            node.database?.stop()
            node.entrance.stop()
        }
        site.remove(directory: directory)
    }

    private static func createKey(_ site: DatabaseSite) throws -> String {
        let created = try LedgerProcess.run([
            "keys", "create", "--role", "admin", "--database", site.conninfo,
        ])
        guard let key = secret(in: created.output) else {
            throw LedgerProcess.Failure(description: "no key: \(created.output)")
        }
        return key
    }

    private static func secret(in output: String) -> String? {
        let start = "secret: "
        return output.split(separator: "\n").first { $0.hasPrefix(start) }
            .map { String($0.dropFirst(start.count)) }
    }

    private func createExperiment() throws {
        let document = """
            {"schemaVersion":1,"kind":"experiment",
             "metadata":{"id":"\(Self.experiment)","status":"active"},
             "spec":{"variants":[{"id":"A"},{"id":"B"},{"id":"C"}],
              "cohorts":[{"index":1,"variants":[{"variant":"A","split":0.5},
               {"variant":"B","split":0.3},{"variant":"C","split":0.2}]}]}}
            """
        let response = try send(leader(), "PUT", "/v1/resources", Array(document.utf8))
        guard response.status == 200 else {
            throw LedgerProcess.Failure(
                description: "no experiment: \(String(decoding: response.body, as: UTF8.self))")
        }
        // Whoever asks the others from now on finds the experiment there.
        let position = response.head.header("X-Ledger-Position") ?? "0"
        for node in nodes { _ = try send(node, "GET", "/v1/events?min_position=\(position)") }
    }

    private func send(
        _ node: Node, _ method: String, _ path: String, _ body: [UInt8]? = nil
    ) throws -> Response {
        try Transfer().perform(
            Request(
                method: method, url: node.url + path,
                headers: [("Authorization", "Bearer \(key)")], body: body,
                timeoutMilliseconds: 20_000))
    }

    // MARK: Looking

    /// The node that leads, once there is one.
    func leader(patience: Duration = .seconds(30)) throws -> Node {
        let deadline = ContinuousClock.now + patience
        let pause = Signal()
        while true {
            if let leader = nodes.first(where: { $0.role == "leader" }) { return leader }
            guard ContinuousClock.now < deadline else {
                throw LedgerProcess.Failure(description: "no node leads within \(patience)")
            }
            _ = pause.wait(timeout: .milliseconds(50))
        }
    }

    /// Waits until each node is ready, and one leads; those that are not.
    func waitUntilWhole(patience: Duration) -> [Node] {
        let deadline = ContinuousClock.now + patience
        let pause = Signal()
        while true {
            let roles = nodes.map(\.role)
            let unready = zip(nodes, roles).filter { $0.1 == nil }.map(\.0)
            if unready.isEmpty, roles.contains("leader") { return [] }
            if ContinuousClock.now > deadline { return unready.isEmpty ? nodes : unready }
            _ = pause.wait(timeout: .milliseconds(50))
        }
    }

    /// A node's whole log and the root it claims, of one moment; at least up to a position.
    func log(of node: Node, through position: Int64) throws -> (lines: [[UInt8]], root: String) {
        // What clients gave up on may still be recorded, so once more if something was.
        for _ in 0..<20 {
            let head = try claim(of: node)
            let lines = try lines(of: node, through: max(position, head.position))
            let again = try claim(of: node)
            if head == again, lines.count == head.position { return (lines, head.root) }
        }
        throw LedgerProcess.Failure(description: "the log of node \(node.number) does not settle")
    }

    private func claim(of node: Node) throws -> (position: Int64, root: String) {
        let json = try JSONValue.parse(send(node, "GET", "/v1/log").body)
        guard let position = json["position"]?.integer, let root = json["root"]?.string else {
            throw LedgerProcess.Failure(description: "node \(node.number) shows no head")
        }
        return (position, root)
    }

    private func lines(of node: Node, through position: Int64) throws -> [[UInt8]] {
        var lines: [[UInt8]] = []
        while true {
            let response = try send(
                node, "GET",
                "/v1/events?after=\(lines.count)&limit=10000&min_position=\(position)")
            guard response.status == 200 else {
                throw LedgerProcess.Failure(
                    description: "node \(node.number) shows no lines: \(response.status) "
                        + String(decoding: response.body, as: UTF8.self))
            }
            let page = response.body.split(separator: UInt8(ascii: "\n")).map(Array.init)
            if page.isEmpty { return lines }
            lines += page
        }
    }

    /// What the ledger's own tools find in the database.
    func verify() throws -> [Finding] {
        var findings: [Finding] = []
        for command in [["verify"], ["rebuild", "--verify"]] {
            let result = try LedgerProcess.run(command + ["--database", site.conninfo])
            if result.status != 0 {
                findings.append(
                    Finding(
                        .unverified, "ledger \(command.joined(separator: " ")): \(result.output)"))
            }
        }
        return findings
    }
}
