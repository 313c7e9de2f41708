import Domain
import Glibc
import JSON
import Postgres
import TestSupport
import Testing

@testable import EventLog

/// A ledger with events of several kinds, and files that a test makes of it.
private struct Ledger {
    let database: TestDatabase
    let directory: String

    init() async throws {
        database = try TestDatabase()
        directory = try temporaryDirectory()
        let log = try database.lead()
        try await log.createExperiment("HERO")
        try await log.submit(.assign("HERO", subjects: ["ein \"Zitat\"", "a/b%", "\u{1F600}"]))
        try await log.assign("HERO", subjects: 0..<100)
        try await log.submit(.step("HERO", .declareWinner("TREATMENT")))
        // Composed and decomposed letters make two functions, whose streams count for themselves.
        for function in ["f/\u{E9}", "f/e\u{301}"] {
            let step = StepKey(function: function, name: "model")
            let weights = ["a", "b"].map { Weight(variant: $0, weight: 1) }
            try await log.submit(
                .select(
                    SelectionRequest(
                        step: step, run: "r",
                        declared: StepDefinition(
                            strategy: .weighted, variants: ["a", "b"], weights: weights))))
            let unit = UnitKey(step: step, run: "r")
            let scored = try await log.submit(
                .score([ScoreRequest(unit: unit, name: "n", value: .number(0.1))]))
            try await log.submit(.retract(RetractionRequest(position: scored.position)))
        }
        log.stop()
    }

    var file: String { directory + "/export.ndjson" }

    func export() async throws -> TransferReport {
        try await EventLogTests.export(database, to: file)
    }

    func lines() throws -> [String] {
        let bytes = try FileDescriptor.contents(of: file) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    func write(_ lines: [String], to name: String) throws -> String {
        let path = "\(directory)/\(name)"
        try FileDescriptor.replace(path, with: Array((lines.joined(separator: "\n") + "\n").utf8))
        return path
    }

    func remove() { removeTree(directory) }
}

private func export(_ database: TestDatabase, to file: String) async throws -> TransferReport {
    try await onThread {
        try LogExport.run(conninfo: database.conninfo, toFile: file) { _, _ in }
    }
}

private func importing(
    _ file: String, into database: TestDatabase, root: Digest? = nil
) async throws -> TransferReport {
    try await onThread {
        try LogImport.run(conninfo: database.conninfo, fromFile: file, expectedRoot: root) { _, _ in
        }
    }
}

private func verify(_ database: TestDatabase) async throws -> LogReport {
    try await onThread { try LogVerification.run(conninfo: database.conninfo) { _, _ in } }
}

@Suite(.timeLimit(.minutes(10))) struct TransferTests {
    @Test func anExportImportedAndExportedAgainIsTheSame() async throws {
        let ledger = try await Ledger()
        defer { ledger.remove() }
        let exported = try await ledger.export()
        let copy = try TestDatabase(isMigrated: false)
        let imported = try await importing(ledger.file, into: copy)
        #expect(imported.tree == exported.tree)
        let again = try await export(copy, to: ledger.directory + "/again.ndjson")
        #expect(again.tree == exported.tree)
        let first = try FileDescriptor.contents(of: ledger.file)
        #expect(try FileDescriptor.contents(of: ledger.directory + "/again.ndjson") == first)
        let verified = try await verify(copy)
        #expect(verified.findingCount == 0 && verified.root == exported.tree.root)
        // The ledger goes on from there.
        let log = try copy.lead()
        try await log.submit(.step("HERO", .end(.success)))
        log.stop()
        #expect(try await verify(copy).findingCount == 0)
        let size = try #require(try FileDescriptor.contents(of: ledger.file + ".tree"))
        #expect(TreeHead(json: size) == exported.tree)
        #expect(access(ledger.file + ".partial", F_OK) != 0)
    }

    @Test func anEmptyLedgerIsExportedAndImported() async throws {
        let directory = try temporaryDirectory()
        defer { removeTree(directory) }
        let report = try await export(TestDatabase(), to: directory + "/none")
        #expect(report.tree == TreeHead(size: 0, root: MerkleFrontier().root))
        let copy = try TestDatabase()
        #expect(try await importing(directory + "/none", into: copy).tree == report.tree)
        #expect(try await verify(copy).findingCount == 0)
    }

    @Test(arguments: [
        ("a subject", 6, "Zitat", "zitat"), ("a position", 7, "\"position\":7", "\"position\":8"),
        ("the form", 3, "{\"position\"", "{ \"position\""),
        ("a version", 4, "\"version\":4", "\"version\":5"),
        ("a time", 9, "\"recordedAt\":\"2", "\"recordedAt\":\"1"),
        ("a type", 7, "AssignmentMade", "AssignmentUnmade"),
        ("a stream", 7, "\"stream\":\"assignment/", "\"stream\":\"other/"),
        ("a variant left out", 7, "\"variant\"", "\"Variant\""),
    ])
    func aTamperedLineIsRefusedAndLeavesNothing(
        _ what: String, _ number: Int, _ old: String, _ new: String
    ) async throws {
        let ledger = try await Ledger()
        defer { ledger.remove() }
        _ = try await ledger.export()
        var lines = try ledger.lines()
        let index = number - 1
        let changed = lines[index].replacing(old, with: new)
        #expect(changed != lines[index], "\(lines[index])")
        lines[index] = changed
        let file = try ledger.write(lines, to: "tampered.ndjson")
        rename(ledger.file + ".tree", file + ".tree")
        let copy = try TestDatabase()
        let error = await #expect(throws: ImportError.self) {
            try await importing(file, into: copy)
        }
        // A change that leaves a valid line is found by the tree alone.
        let isNamed = !(what == "a subject")
        #expect(error?.line == (isNamed ? number : nil), "\(what): \(error?.reason ?? "")")
        #expect(try copy.texts("SELECT count(*) FROM ledger.events") == ["0"])
        #expect(try copy.texts("SELECT position FROM ledger.head") == ["0"])
    }

    @Test func linesThatAreMissingOrCutOffAreRefused() async throws {
        let ledger = try await Ledger()
        defer { ledger.remove() }
        let exported = try await ledger.export()
        let lines = try ledger.lines()
        let copy = try TestDatabase()
        let short = try ledger.write(lines.dropLast(), to: "short")
        let error = await #expect(throws: ImportError.self) {
            try await importing(short, into: copy, root: exported.tree.root)
        }
        #expect(error?.reason.contains("has root") == true)
        let cut = ledger.directory + "/cut"
        try FileDescriptor.replace(cut, with: Array(lines.joined(separator: "\n").utf8))
        let cutError = await #expect(throws: ImportError.self) {
            try await importing(cut, into: copy)
        }
        #expect(cutError?.line == lines.count)
        #expect(try copy.texts("SELECT count(*) FROM ledger.events") == ["0"])
    }

    @Test func onlyAnEmptyLedgerThatNobodyLeadsTakesAnImport() async throws {
        let ledger = try await Ledger()
        defer { ledger.remove() }
        _ = try await ledger.export()
        let error = await #expect(throws: ImportError.self) {
            try await importing(ledger.file, into: ledger.database)
        }
        #expect(error?.reason.contains("empty") == true)
        let led = try TestDatabase()
        let log = try led.lead()
        defer { log.stop() }
        await #expect(throws: AlreadyLedError.self) { try await importing(ledger.file, into: led) }
    }

    @Test func aDamagedLogIsNotExported() async throws {
        let ledger = try await Ledger()
        defer { ledger.remove() }
        try ledger.database.tamper("UPDATE ledger.events SET actor = 'x' WHERE position = 9")
        await #expect(throws: DamagedLogError.self) { try await ledger.export() }
        #expect(access(ledger.file, F_OK) != 0 && access(ledger.file + ".partial", F_OK) != 0)
    }
}

@Suite(.timeLimit(.minutes(10))) struct LogVerificationTests {
    private func findings(_ sql: String?) async throws -> [LogFinding] {
        let ledger = try await Ledger()
        defer { ledger.remove() }
        if let sql { try ledger.database.tamper(sql) }
        let report = try await verify(ledger.database)
        #expect(report.findings.count == report.findingCount)
        return report.findings
    }

    @Test func aLogAsItWasWrittenIsWhole() async throws {
        #expect(try await findings(nil).isEmpty)
    }

    @Test func aChangedEventIsFoundWithinARangeOfPositions() async throws {
        let found = try await findings(
            """
            UPDATE ledger.events SET data = replace(data::text, 'user_50', 'user_5x')::json
             WHERE data::text LIKE '%user_50%'
            """)
        #expect(found.count == 1 && found[0].text.contains("among positions 1 to 64"))
    }

    @Test func aRemovedEventIsNamed() async throws {
        let found = try await findings("DELETE FROM ledger.events WHERE position = 20")
        #expect(found == [LogFinding(position: 20, text: "the event is missing")])
    }

    @Test func removedEventsAtTheEndAreFound() async throws {
        let found = try await findings(
            "DELETE FROM ledger.events WHERE position > (SELECT position FROM ledger.head) - 3")
        #expect(found.contains { $0.text.contains("the head is at position") })
    }

    @Test func anEventPutInBehindTheHeadIsFound() async throws {
        let found = try await findings(
            """
            INSERT INTO ledger.events
            SELECT position + 1, gen_random_uuid(), 'experiment/X', 1, type, recorded_at, actor, data
              FROM ledger.events ORDER BY position DESC LIMIT 1
            """)
        #expect(found.contains { $0.text.contains("the head is at position") })
    }

    @Test func aWrongVersionIsNamed() async throws {
        let found = try await findings(
            "UPDATE ledger.events SET version = 12 WHERE stream = 'experiment/HERO' AND version = 3"
        )
        #expect(found.contains { $0.position == 3 && $0.text.contains("version 12 of stream") })
    }

    @Test func aTimeBeforeTheOneInFrontIsNamed() async throws {
        let found = try await findings(
            "UPDATE ledger.events SET recorded_at = recorded_at - interval '1 h' WHERE position = 30"
        )
        #expect(found.contains { $0.position == 30 && $0.text.contains("before the event") })
    }

    @Test func aDatabaseWithoutALedgerIsSaidToHaveNone() async throws {
        let database = try TestDatabase(isMigrated: false)
        await #expect(throws: NoLogError.self) { try await verify(database) }
    }

    @Test func digestsAreReadAsHexAndBase64() {
        let digest = MerkleFrontier.leaf([1, 2, 3])
        #expect(Digest(text: digest.description) == digest && Digest(text: digest.base64) == digest)
        #expect(Digest(text: "") == nil && Digest(text: "00ff") == nil)
    }
}
