import EventLog
import Glibc
import Postgres
import TestSupport
import Testing

@Suite("The ledger on a PostgreSQL cluster", .serialized)
struct FailoverTests {
    /// The secret that `keys create` prints.
    private func createKey(_ conninfo: String) throws -> String {
        let created = try LedgerProcess.run([
            "keys", "create", "--role", "admin", "--database", conninfo,
        ])
        let line = created.output.split(separator: "\n").first { $0.hasPrefix("secret: ") }
        return String(try #require(line, "\(created.output)").dropFirst("secret: ".count))
    }

    private func seconds(_ duration: Duration) -> String {
        "\(Double(duration / .milliseconds(100)).rounded() / 10) s"
    }

    /// Shows at once what a long test has come to.
    private func report(_ text: String) {
        print(text)
        fflush(nil)
    }

    /// What a backup of the cluster restores to has the cluster's own root.
    private func backUp(_ cluster: PatroniCluster, to directory: String) throws {
        // PostgreSQL's user has to pass through.
        chmod(directory, 0o711)
        let conninfo = try cluster.conninfo(as: "replicator")
        try Script.run(
            "ops/backup",
            [
                "\(directory)/backup", "--database", conninfo, "--quick", "--ledger",
                LedgerProcess.binary,
            ])
        let restored = try Script.run(
            "ops/restore",
            ["\(directory)/backup", "\(directory)/data", "--ledger", LedgerProcess.binary])
        let verified = try LedgerProcess.run(["verify", "--database", cluster.conninfo])
        let root = verified.output.split(separator: "\n").first { $0.hasPrefix("  hex") }
        #expect(restored.contains(try #require(root, "\(verified.output)")))
    }

    @Test("keeps all it acknowledged, once, through the loss of the primary's host, time and again")
    func primaryLost() async throws {
        // `ops/ha/check` asks for more.
        let rounds = getenv("HA_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 2
        try await onThread { try self.losePrimary(rounds: rounds) }
    }

    private func losePrimary(rounds: Int) throws {
        let clock = ContinuousClock()
        let began = clock.now
        let cluster = try PatroniCluster()
        defer { cluster.destroy() }
        report("the cluster is up after \(seconds(clock.now - began))")
        let directory = try temporaryDirectory()
        defer { removeTree(directory) }
        let key = try createKey(cluster.conninfo)
        let nodes = try (0..<2).map { _ in
            try LedgerProcess.serve([
                "--database", cluster.conninfo, "--listen", "127.0.0.1:0",
                "--secrets-key", "\(directory)/secrets.key",
                "--signing-key", "\(directory)/signing.key",
            ])
        }
        defer {
            for node in nodes { node.kill(SIGTERM) }
            for node in nodes { node.wait() }
        }
        let target = Target(urls: nodes.map(\.url), key: key)
        try target.createExperiment()
        let load = Load(target, clients: 8)
        for round in 1...rounds {
            try load.waitForMore(200)
            let killed = clock.now
            let lost = try cluster.killPrimary()
            let primary = try cluster.waitForPrimary(otherThan: lost)
            let led = clock.now
            try load.waitForMore(100)
            let answered = clock.now
            try cluster.start(lost)
            try cluster.waitUntilWhole()
            report(
                "round \(round): \(lost) was killed; \(primary) led after "
                    + "\(seconds(led - killed)), clients were answered after "
                    + "\(seconds(answered - killed)), \(lost) was back "
                    + "\(seconds(clock.now - answered)) after its start")
        }
        try load.waitForMore(200)
        try target.check(load.stop(), 0)
        try backUp(cluster, to: directory)
        for command in [["verify"], ["rebuild", "--verify"]] {
            let result = try LedgerProcess.run(command + ["--database", cluster.conninfo])
            #expect(result.status == 0, "\(command): \(result.output)")
        }
    }
}
