import ArgumentParser
import Testing

@testable import CommandLine

@Suite struct ArgumentsTests {
    private func parse<Command: ParsableCommand>(
        _ arguments: String, as type: Command.Type
    ) throws -> Command {
        try #require(
            Ledger.parseAsRoot(arguments.split(separator: " ").map(String.init)) as? Command)
    }

    @Test func `apply takes several files`() throws {
        let apply = try parse("apply -f a.yaml -f b --file - --dry-run", as: Apply.self)
        #expect(apply.file == ["a.yaml", "b", "-"])
        #expect(apply.dryRun)
    }

    @Test func `get takes kinds in the singular too`() throws {
        let get = try parse("get experiment HERO --as-of 12 -o yaml", as: Get.self)
        #expect(get.kind == .experiments)
        #expect(get.id == "HERO")
        #expect(get.asOf == "12")
        #expect(get.options.format == .yaml)
    }

    @Test func `assign takes subjects and the dash for standard input`() throws {
        let assign = try parse("assign HERO u1 - --read-only", as: Assign.self)
        #expect(assign.experiment == "HERO")
        #expect(assign.subjects == ["u1", "-"])
        #expect(assign.readOnly)
    }

    @Test func `events takes its filters`() throws {
        let events = try parse(
            "events --after 5 --limit 2 --stream lab/A --type T --experiment E --follow",
            as: Events.self)
        #expect(events.after == 5)
        #expect(events.limit?.count == 2)
        #expect(events.stream == "lab/A")
        #expect(events.follow)
    }

    @Test(arguments: [
        ("history", ["v1", "audit"]),
        ("history HERO", ["v1", "experiments", "HERO", "history"]),
        ("history experiment/HERO", ["v1", "experiments", "HERO", "history"]),
        ("history lab/GROWTH", ["v1", "labs", "GROWTH", "history"]),
        ("history SubjectType/ANY", ["v1", "subjecttypes", "ANY", "history"]),
    ])
    func `history finds what is asked for`(arguments: String, path: [String]) throws {
        #expect(try parse(arguments, as: History.self).path() == path)
    }

    @Test func `keys create takes a role`() throws {
        #expect(try parse("keys create --role admin", as: Keys.Create.self).role == .admin)
    }

    @Test func `the URL given wins and loses its last slash`() throws {
        let get = try parse("get labs --url https://ledger.example/", as: Get.self)
        #expect(get.options.baseURL == "https://ledger.example")
    }

    @Test(arguments: [
        "nonsense", "apply", "apply -f a --reopen", "apply -f a --reason x", "apply -f a -o yaml",
        "get", "get widgets", "get assignments", "get assignments HERO --subject S",
        "get labs --subject S", "get labs --lab L", "get experiments HERO --status active",
        "get keys K", "get labs --limit 0", "get labs --url localhost:8080", "assign HERO",
        "events -o yaml", "history nonsense/X", "history lab/", "keys create",
        "keys create --role boss", "keys revoke",
    ])
    func `what can't be used ends with 2`(arguments: String) throws {
        let error = #expect(throws: (any Error).self) {
            try Ledger.parseAsRoot(arguments.split(separator: " ").map(String.init))
        }
        #expect(Main.status(of: try #require(error)) == 2)
    }

    @Test(arguments: ["--help", "--version", "apply --help", "keys create --help"])
    func `asking for help ends with 0`(arguments: String) throws {
        let words = arguments.split(separator: " ").map(String.init)
        let error = #expect(throws: (any Error).self) {
            var command = try Ledger.parseAsRoot(words)
            try command.run()
        }
        #expect(Main.status(of: try #require(error)) == 0)
    }
}
