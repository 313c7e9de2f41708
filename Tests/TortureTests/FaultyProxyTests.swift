import Postgres
import TestSupport
import Testing

@Suite struct FaultyProxyTests {
    /// A proxy in front of the tests' PostgreSQL, and how to reach a table through it.
    private struct Setup {
        let proxy: FaultyProxy
        let database: TestDatabase
        let conninfo: String

        init() throws {
            database = try TestDatabase(isMigrated: false)
            try database.execute("CREATE TABLE t (n int)")
            let settings = ConninfoSettings(database.conninfo)
            proxy = FaultyProxy(to: try #require(settings.socket), speaksPostgres: true)
            conninfo = """
                \(settings.without(["host", "port"])) host=127.0.0.1 port=\(proxy.port) \
                sslmode=disable gssencmode=disable
                """
        }

        func connect(timeout: Duration = .seconds(10)) throws -> Connection {
            try Connection(conninfo, applicationName: "test", timeout: timeout)
        }

        /// What a transaction of one COPY left, and whether its client heard of it.
        func commit(_ connection: Connection) throws -> (isAcknowledged: Bool, rows: Int) {
            var rows = CopyRows()
            rows.beginRow(columns: 1)
            rows.int32(7)
            var isAcknowledged = true
            do {
                try connection.execute(
                    "BEGIN; COPY t FROM STDIN (FORMAT binary); COMMIT", copying: [rows])
            } catch { isAcknowledged = false }
            return (isAcknowledged, try database.texts("SELECT n FROM t").count)
        }
    }

    @Test func `what nothing happens to passes`() throws {
        let setup = try Setup()
        defer { setup.proxy.stop() }
        let connection = try setup.connect()
        #expect(try setup.commit(connection) == (true, 1))
        #expect(try connection.query("SELECT 1").count == 1)
    }

    @Test func `a cut breaks what is connected, and lets new connections be made`() throws {
        let setup = try Setup()
        defer { setup.proxy.stop() }
        let connection = try setup.connect()
        setup.proxy.cut()
        #expect(throws: PostgresError.self) { try connection.execute("SELECT 1") }
        #expect(try setup.connect().query("SELECT 1").count == 1)
    }

    @Test func `nothing passes while all waits, and all passes afterwards`() throws {
        let setup = try Setup()
        defer { setup.proxy.stop() }
        let connection = try setup.connect()
        setup.proxy.stall()
        #expect(throws: PostgresError.self) { try setup.connect(timeout: .milliseconds(200)) }
        setup.proxy.resume()
        #expect(try connection.query("SELECT 1").count == 1)
        #expect(try setup.connect().query("SELECT 1").count == 1)
    }

    @Test func `nobody gets in while connections are refused`() throws {
        let setup = try Setup()
        defer { setup.proxy.stop() }
        setup.proxy.refuse()
        #expect(throws: PostgresError.self) { try setup.connect(timeout: .milliseconds(200)) }
        setup.proxy.resume()
        #expect(try setup.connect().query("SELECT 1").count == 1)
    }

    @Test(arguments: [(FaultyProxy.Trap.beforeCommit, 0), (.afterCommit, 1)])
    func `a commit is lost before the server hears of it, or its reply afterwards`(
        trap: FaultyProxy.Trap, rows: Int
    ) throws {
        let setup = try Setup()
        defer { setup.proxy.stop() }
        setup.proxy.arm(trap, bait: "COPY t")
        let connection = try setup.connect()
        // One that the trap is not for.
        try connection.execute("BEGIN; SELECT 1; COMMIT")
        #expect(try setup.commit(connection) == (false, rows))
        #expect(setup.proxy.waitUntilSprung(timeout: .seconds(60)))
        #expect(try setup.commit(setup.connect()) == (true, rows + 1))
    }

    @Test func `a commit that breaks off as it arrives happens or not, and nobody hears of it`()
        throws
    {
        let setup = try Setup()
        defer { setup.proxy.stop() }
        setup.proxy.arm(.amidCommit, bait: "COPY t")
        let (isAcknowledged, _) = try setup.commit(setup.connect())
        #expect(!isAcknowledged)
        #expect(setup.proxy.waitUntilSprung(timeout: .seconds(60)))
    }

    @Test func `a transaction that stops halfway goes on when it may`() async throws {
        let setup = try Setup()
        defer { setup.proxy.stop() }
        setup.proxy.arm(.stalledCopy, bait: "COPY t")
        async let outcome = onThread { try setup.commit(setup.connect()) }
        #expect(
            try await onThread { setup.proxy.waitUntilSprung(timeout: .seconds(60)) })
        #expect(try setup.database.texts("SELECT n FROM t") == [])
        setup.proxy.resume()
        #expect(try await outcome == (true, 1))
    }

    @Test func `messages are found whatever the pieces they come in`() {
        let stream: [UInt8] =
            [0, 0, 0, 8, 0, 3, 0, 0] + [0x51, 0, 0, 0, 7, 0x41, 0x42, 0] + [0x58, 0, 0, 0, 4]
        for size in 1...stream.count {
            var messages = PostgresMessages(fromClient: true)
            var found: [PostgresMessage] = []
            for start in stride(from: 0, to: stream.count, by: size) {
                messages.append(stream[start..<min(start + size, stream.count)])
                while let message = messages.next() { found.append(message) }
            }
            #expect(found.map(\.type) == [0, 0x51, 0x58])
            #expect(found.flatMap(\.bytes) == stream)
            #expect(found[1].holds("AB"))
        }
    }
}
