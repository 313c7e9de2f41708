import Testing

@testable import Postgres

@Suite struct LinkTests {
    private func kill(_ victim: Int32) throws {
        let killer = try TestServer.connect()
        let killed = try killer.query(
            "SELECT pg_terminate_backend($1, 10000)", [.int32(victim)])
        #expect(killed.bool(0, 0))
    }

    @Test func aKilledBackendBreaksTheConnection() throws {
        let connection = try TestServer.connect()
        try kill(connection.backendPID)
        let error = postgresError { _ = try connection.query("SELECT 1") }
        #expect(error?.kind == .connection && error?.sqlState == "57P01")
        #expect(connection.isBroken)
        #expect(postgresError { try connection.execute("SELECT 1") }?.kind == .connection)
    }

    @Test func aBackendKilledDuringAStatementBreaksTheConnection() throws {
        let connection = try TestServer.connect()
        let error = postgresError {
            _ = try connection.pipeline([
                Statement("SELECT 1"), Statement("SELECT pg_terminate_backend(pg_backend_pid())"),
                Statement("SELECT 2"),
            ])
        }
        #expect(error?.kind == .connection)
        #expect(connection.isBroken)
    }

    @Test func aListenerWhoseBackendIsKilledHearsOfIt() throws {
        let connection = try TestServer.connect()
        try connection.execute("LISTEN nothing")
        try kill(connection.backendPID)
        let error = postgresError {
            while try connection.notifications(waiting: .seconds(10)).isEmpty {}
        }
        #expect(error?.kind == .connection && connection.isBroken)
    }

    @Test func aServerThatIsNotThereIsAnErrorOfTheConnection() {
        let error = postgresError {
            _ = try Connection("host=/tmp/nowhere dbname=ledger", applicationName: "test")
        }
        #expect(error?.kind == .connection)
    }

    @Test func aClosedConnectionIsBroken() throws {
        let connection = try TestServer.connect()
        connection.close()
        #expect(connection.isBroken)
        #expect(postgresError { _ = try connection.query("SELECT 1") }?.kind == .connection)
    }

    @Test func notificationsArriveWithTheirPayloads() throws {
        let listener = try TestServer.connect()
        try listener.execute("LISTEN link_tests")
        #expect(try listener.notifications(waiting: .zero) == [])
        try TestServer.connect().execute("NOTIFY link_tests, 'one'; NOTIFY link_tests, 'two'")
        #expect(try listener.notifications(waiting: .seconds(10)) == ["one", "two"])
    }

    @Test func aSignalEndsTheWaitForNotifications() throws {
        let listener = try TestServer.connect()
        try listener.execute("LISTEN nothing")
        let signal = Signal()
        let thread = OSThread.start(name: "waker") { signal.wake() }
        #expect(try listener.notifications(waiting: .seconds(600), or: signal) == [])
        #expect(signal.wait(timeout: .zero))
        #expect(!signal.isRaised)
        thread.join()
    }
}
