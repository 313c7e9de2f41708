import Glibc
import Testing

@testable import Postgres

/// Serialised: each of these makes a cluster of its own, which keeps two cores busy enough.
@Suite(.serialized) struct EmbeddedServerTests {
    private func postmaster(_ directory: String) throws -> pid_t {
        let cluster = try FileSystem.resolve(directory + "/postgres")
        return try #require(Postmaster.running(on: cluster)).pid
    }

    private func remove(_ directory: String) throws {
        if let target = FileSystem.link(directory + "/postgres"),
            let home = FileSystem.parent(target)
        {
            try FileSystem.removeTree(home)
        }
        try FileSystem.removeTree(directory)
    }

    @Test(.timeLimit(.minutes(10)))
    func aKilledPostmasterIsRestartedAndThePoolAnswersAgain() async throws {
        let directory = temporaryDirectory()
        defer { try? remove(directory) }
        let reports = Reports()
        let server = try EmbeddedServer.start(dataDirectory: directory, report: reports.report)
        let pool = ConnectionPool(conninfo: server.conninfo, size: 2, name: "pool")
        try await pool.run { try $0.execute("CREATE TABLE kept (a int)") }
        // A busy backend does not notice that the postmaster is gone, and is in the way.
        let busy = OSThread.start(name: "busy") {
            let error = postgresError {
                try Connection(server.conninfo, applicationName: "busy")
                    .execute("DO $$ BEGIN LOOP END LOOP; END $$")
            }
            #expect(error?.kind == .connection)
        }
        let isBusy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'busy'"
        while try await pool.run({ try $0.query(isBusy).int64(0, 0) }) == 0 {}
        kill(try postmaster(directory), SIGKILL)
        await onThread { #expect(reports.wait(for: "runs again")) }
        busy.join()
        #expect(try await pool.run { try $0.query("SELECT * FROM kept").count } == 0)
        pool.shutdown()
        server.stop()
        #expect(throws: PostgresError.self) {
            try Connection(server.conninfo, applicationName: "test")
        }
        #expect(FileSystem.status(directory + "/owner.pid") == nil)
    }

    @Test(.timeLimit(.minutes(10)))
    func theNextLedgerAttachesAndTakesOverFromADeadOwner() throws {
        let directory = temporaryDirectory()
        defer { try? remove(directory) }
        let first = try EmbeddedServer.start(dataDirectory: directory, report: { _ in })
        #expect(first.isOwner)
        let running = try postmaster(directory)

        let second = try EmbeddedServer.start(dataDirectory: directory, report: { _ in })
        #expect(!second.isOwner && second.conninfo == first.conninfo)
        second.stop()
        #expect(try postmaster(directory) == running)

        // What a killed ledger leaves: a number that belongs to nobody, or to another process.
        try FileSystem.write("\(getppid()) 1\n", to: directory + "/owner.pid")
        let third = try EmbeddedServer.start(dataDirectory: directory, report: { _ in })
        #expect(third.isOwner)
        #expect(try postmaster(directory) == running)
        third.stop()
        #expect(!ProcessTable.isRunning(running))
        first.stop()
    }

    @Test(.timeLimit(.minutes(10)))
    func manyStartsAtOnceMakeOneCluster() async throws {
        let directory = temporaryDirectory()
        defer { try? remove(directory) }
        // What an interrupted initdb leaves behind is cleared away.
        try FileSystem.createDirectories(directory + "/postgres.initdb/base", mode: 0o755)
        let reports = Reports()
        let servers = try await withThrowingTaskGroup(of: EmbeddedServer.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    try EmbeddedServer.start(dataDirectory: directory, report: reports.report)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(servers.filter(\.isOwner).count == 1)
        #expect(reports.all.filter { $0.hasPrefix("making") }.count == 1)
        for server in servers { server.stop() }
    }

    @Test func aLinkToAClusterThatIsGoneIsAnErrorNotAnEmptyDatabase() throws {
        let directory = temporaryDirectory()
        defer { try? remove(directory) }
        symlink("/tmp/ledger-nowhere/postgres", directory + "/postgres")
        let error = #expect(throws: EmbeddedServerError.self) {
            try EmbeddedServer.start(dataDirectory: directory, report: { _ in })
        }
        #expect(error?.message.contains("is gone") == true)
    }

    @Test func aLongPathHasItsSocketInTmp() {
        let long = "/tmp/" + String(repeating: "x", count: 100)
        #expect(
            ClusterPaths(dataDirectory: long, home: long).socketDirectory.utf8.count == 28)
        #expect(
            ClusterPaths(dataDirectory: "/d", home: "/d").socketDirectory == "/d/socket")
        let odd = ClusterPaths(dataDirectory: "/d,e", home: "/d,e").socketDirectory
        #expect(odd.hasPrefix("/tmp/ledger-"))
    }
}
