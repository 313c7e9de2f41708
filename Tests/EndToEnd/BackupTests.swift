import EventLog
import Glibc
import TestSupport
import Testing

@Suite("A backup", .serialized)
struct BackupTests {
    /// A directory that PostgreSQL's user can pass through.
    private func directory() throws -> String {
        let directory = try temporaryDirectory()
        chmod(directory, 0o711)
        return directory
    }

    private func root(of events: [StoredEvent]) -> String {
        var tree = MerkleFrontier()
        for event in events { tree.append(MerkleFrontier.leaf(event.line)) }
        return tree.root.description
    }

    @Test("made under load restores to the log of that moment, which can be served and goes on")
    func underLoad() async throws {
        try await onThread { try self.backUpUnderLoad() }
    }

    private func backUpUnderLoad() throws {
        let directory = try directory()
        defer { removeTree(directory) }
        let backup = "\(directory)/backup"
        let program = ["--ledger", LedgerProcess.binary]
        let server = try LedgerProcess.serve(dataDirectory: "\(directory)/data")
        let target = Target(urls: [server.url])
        try target.createExperiment()
        let load = Load(target, clients: 4)
        try load.waitForMore(300)
        let before = try target.events().count
        let printed = try Script.run(
            "ops/backup",
            [backup, "--data-dir", "\(directory)/data", "--both", "--scratch", directory] + program)
        let during = load.stop()
        let events = try target.events()
        server.kill(SIGTERM)
        server.wait()

        // Later events than those of the beginning are in it, and it ends with one of them.
        let notes = Dictionary(
            uniqueKeysWithValues: printed.split(separator: "\n").compactMap { line in
                line.wholeMatch(of: /\s+(\w+)=(.*)/).map { (String($0.1), String($0.2)) }
            })
        let position = try #require(notes["position"].flatMap { Int($0) }, "\(printed)")
        try #require((before...events.count).contains(position))
        #expect(notes["root"] == root(of: Array(events[..<position])))

        try Script.run("ops/restore", [backup, "\(directory)/restored"] + program)
        // What is in no backup; without the log's own signing key there is no serving it.
        for name in ["secrets.key", "signing.key"] {
            try #require(
                rename("\(directory)/data/\(name)", "\(directory)/restored/\(name)") == 0)
        }
        let restored = try LedgerProcess.serve(dataDirectory: "\(directory)/restored")
        defer {
            restored.kill(SIGTERM)
            restored.wait()
        }
        let again = Target(urls: [restored.url])
        #expect(try again.events().map(\.line) == events[..<position].map(\.line))
        // The same requests under the same keys: those that are in it are not recorded twice.
        let repeated = Load(again, clients: 4)
        try repeated.waitForMore(400)
        let answers = repeated.stop()
        try again.check(answers, 0)
        for (subject, variant) in answers where during[subject] != nil {
            #expect(during[subject] == variant)
        }

        // The lines alone make a ledger, too.
        let lines = try Script.run(
            "ops/restore", [backup, "\(directory)/logical", "--logical"] + program)
        #expect(lines.contains("The log is whole"))
    }

    @Test("that was damaged, or would go where something is, is refused")
    func refused() throws {
        let directory = try directory()
        defer { removeTree(directory) }
        func complaint(_ script: String, _ arguments: [String]) -> String {
            let program = ["--ledger", LedgerProcess.binary]
            let error = #expect(throws: Script.Failure.self) {
                try Script.run(script, arguments + program)
            }
            return error?.description ?? ""
        }
        #expect(complaint("ops/backup", [directory]).contains("exists already"))
        let data = "\(directory)/data"
        #expect(
            complaint("ops/backup", ["\(directory)/new", "--data-dir", data])
                .contains("no server runs on \(data); start it with"))
        #expect(
            complaint("ops/backup", ["\(directory)/new", "--database", "host=/nowhere"])
                .contains("does not answer"))
        #expect(complaint("ops/restore", [directory, data]).contains("is no backup"))
    }
}
