import Testing

@testable import Postgres

@Suite struct PipelineTests {
    @Test func resultsComeInTheOrderOfTheStatements() throws {
        let connection = try TestServer.connect()
        for _ in 0..<2 {
            let results = try connection.pipeline([
                Statement("SELECT $1::bigint", [.int64(1)]),
                Statement("SELECT 'two'"),
                Statement("SELECT $1::bigint", [.int64(3)]),
            ])
            #expect(results.map(\.count) == [1, 1, 1])
            #expect(results[0].int64(0, 0) == 1)
            #expect(results[1].text(0, 0) == "two")
            #expect(results[2].int64(0, 0) == 3)
        }
        #expect(connection.prepared.count == 2)
    }

    @Test func anErrorNamesTheStatementUndoesAllAndLeavesTheConnectionUsable() throws {
        let connection = try TestServer.connect()
        try connection.execute("CREATE TEMP TABLE t (a int)")
        let insert = Statement("INSERT INTO t VALUES ($1)", [.int32(1)])
        for _ in 0..<2 {
            let error = postgresError {
                _ = try connection.pipeline([
                    insert, insert, Statement("SELECT 1 / $1", [.int32(0)]), insert,
                    Statement("SELECT 'never prepared'"),
                ])
            }
            #expect(error?.kind == .server && error?.sqlState == "22012")
            #expect(error?.statementIndex == 2)
            #expect(!connection.isBroken && !connection.isInTransaction)
        }
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
        #expect(try connection.query("SELECT 'never prepared'").count == 1)
        #expect(try connection.pipeline([insert])[0].affected == 1)
    }

    @Test func aStatementThatDoesNotParseIsNamedToo() throws {
        let connection = try TestServer.connect()
        let error = postgresError {
            _ = try connection.pipeline([Statement("SELECT 1"), Statement("SELEC 1")])
        }
        #expect(error?.sqlState == "42601" && error?.statementIndex == 1)
        #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
    }

    @Test func aConstraintThatFailsAtTheCommitIsThrown() throws {
        let connection = try TestServer.connect()
        try connection.execute(
            """
            CREATE TEMP TABLE t (a int PRIMARY KEY, b int REFERENCES t
                DEFERRABLE INITIALLY DEFERRED)
            """)
        let error = postgresError {
            _ = try connection.pipeline([Statement("INSERT INTO t VALUES (1, 2)")])
        }
        #expect(error?.sqlState == "23503")
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
    }

    @Test func anExplicitTransactionCommitsInsideThePipeline() throws {
        let connection = try TestServer.connect()
        try connection.execute("CREATE TEMP TABLE t (a int)")
        _ = try connection.pipeline([
            Statement("BEGIN"), Statement("INSERT INTO t VALUES (1)"), Statement("COMMIT"),
        ])
        #expect(!connection.isInTransaction)
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 1)
    }

    /// 20 MB go out and 100 MB come back: far more than any socket buffer holds. The first
    /// statement keeps PostgreSQL busy while the rest is queued.
    @Test(.timeLimit(.minutes(10)))
    func manyStatementsWithBigResultsDoNotDeadlock() throws {
        let connection = try TestServer.connect()
        let slow = Statement("SELECT count(*) FROM generate_series(1, 2000000)")
        let text = String(repeating: "x", count: 10_000)
        let statement = Statement("SELECT repeat($1, 5)", [.text(text)])
        let results = try connection.pipeline([slow] + Array(repeating: statement, count: 2000))
        #expect(results.count == 2001)
        #expect(results.dropFirst().allSatisfy { $0.withBytes(0, 0) { $0.count } == 50_000 })
    }

    @Test func whatCannotBeSentIsRefusedBeforeAnythingIs() throws {
        let connection = try TestServer.connect()
        let error = postgresError {
            _ = try connection.pipeline([
                Statement("SELECT 1"), Statement("SELECT $1", [.uuid([1, 2])]),
            ])
        }
        #expect(error?.kind == .usage && error?.statementIndex == 1)
        #expect(try connection.query("SELECT 1").count == 1)
    }
}
