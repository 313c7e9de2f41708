import Glibc
import Postgres

/// A database with a log in it.
protocol LogDatabase {
    func connect() throws -> Connection
}

extension LogDatabase {
    private func number(_ sql: String, _ parameters: [Parameter] = []) throws -> Int64 {
        let connection = try connect()
        defer { connection.close() }
        return try connection.query(sql, parameters).int64(0, 0)
    }

    /// The log's end, once what clients left behind in flight has come to rest.
    func settledHead() throws -> Int64 {
        var last: Int64 = -1
        while true {
            let head = try number("SELECT position FROM ledger.head")
            if head == last { return head }
            last = head
            usleep(200_000)
        }
    }

    /// Events that the log has gained.
    func eventCount(after position: Int64) throws -> Int {
        _ = try settledHead()
        return Int(
            try number(
                "SELECT count(*) FROM ledger.events WHERE position > $1", [.int64(position)]))
    }

    /// Waits until the projections have read the whole log.
    func waitForProjections() throws {
        let head = try settledHead()
        let deadline = ContinuousClock.now + .seconds(120)
        while try number("SELECT position FROM projection.checkpoint") < head {
            guard ContinuousClock.now < deadline else {
                throw BenchmarkError("the projections do not catch up")
            }
            usleep(100_000)
        }
    }

    /// Leaves nothing for later that the load has made, so that what reads the log is alone.
    func tidy() throws {
        try waitForProjections()
        let connection = try connect()
        defer { connection.close() }
        for statement in ["VACUUM ANALYZE ledger.events", "CHECKPOINT"] {
            try connection.execute(statement)
        }
    }
}
