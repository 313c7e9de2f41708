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

    @Test func `verify takes checkpoints, their key and another copy`() throws {
        let verify = try parse(
            "verify --since a --since b --key k --against http://x/ --data-dir d",
            as: VerifyCommand.self)
        #expect(verify.since == ["a", "b"] && verify.key == "k")
        #expect(verify.against == "http://x/" && verify.database.dataDir == "d")
        for wrong in ["verify --key k", "verify --against x", "proof 0", "verify-proof file"] {
            #expect(throws: (any Error).self) {
                try Ledger.parseAsRoot(wrong.split(separator: " ").map(String.init))
            }
        }
    }

    @Test func `proof takes a position and the ledger to ask`() throws {
        let proof = try parse(
            "proof 42 --checkpoint c --output f --url http://x", as: ProofCommand.self)
        #expect(proof.position == 42 && proof.checkpoint == "c" && proof.output == "f")
        #expect(proof.server.baseURL == "http://x")
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

    @Test func `select draws among the variants that have weights`() throws {
        let select = try parse(
            "select fn exp run_1 --weight a=b=1 --weight c=0.5 --salted", as: Select.self)
        #expect(
            String(decoding: select.body(run: "run_1"), as: UTF8.self) == """
                {"function":"fn","experiment":"exp","run":"run_1","variants":["a=b","c"],\
                "strategy":"weighted","weights":{"a=b":1,"c":0.5},"hashVersion":2}
                """)
    }

    @Test(arguments: [
        ("--bucket 7", #""strategy":"bucket","value":"7"}"#),
        ("--bucket-json null", #""strategy":"bucket","value":null}"#),
        ("--custom b", #""strategy":"custom","variant":"b"}"#),
        ("--fixed b", #""strategy":"fixed","variant":"b"}"#),
        ("--rollout k --fallback b", #""strategy":"custom","value":"k","variant":"b"}"#),
    ])
    func `select takes one way to select`(arguments: String, end: String) throws {
        let select = try parse(
            "select fn exp run_1 --variant a --variant b \(arguments)", as: Select.self)
        let body = String(decoding: select.body(run: "run_1"), as: UTF8.self)
        #expect(body.hasSuffix(#""variants":["a","b"],"# + end), "\(body)")
    }

    @Test(arguments: [
        (
            "score HERO revenue -3.50 --subject u --quarantine",
            #""subject":"u","name":"revenue","value":-3.50,"onUnknownUnit":"quarantine"}"#
        ),
        (
            "score HERO ok true --function f --run r --step-id s --variant v",
            #""function":"f","run":"r","name":"ok","value":true,"variant":"v","stepId":"s"}"#
        ),
        (
            #"score record HERO n 1 --subject u --at 2026-01-31T12:00:00Z --metadata {"a":1}"#,
            #""subject":"u","name":"n","value":1,"occurredAt":"2026-01-31T12:00:00Z","#
                + #""metadata":{"a":1}}"#
        ),
    ])
    func `score takes a subject's or a run's`(arguments: String, end: String) throws {
        let score = try parse(arguments, as: Score.Record.self)
        #expect(
            String(decoding: score.body, as: UTF8.self) == #"{"experiment":"HERO","# + end)
    }

    @Test func `score retract takes positions and IDs`() throws {
        let id = "0198c5b1-7d2a-7f00-8a11-3f0d2c4b5a69"
        let retract = try parse("score retract 12 \(id) --reason r", as: Score.Retract.self)
        #expect(retract.scores == [.position(12), .id(id)])
        let bodies = retract.scores.map { String(decoding: retract.body($0), as: UTF8.self) }
        #expect(
            bodies == [#"{"position":12,"reason":"r"}"#, #"{"id":"\#(id)","reason":"r"}"#])
    }

    @Test func `results asks only for what is said`() throws {
        let plain = try parse("results HERO", as: Results.self)
        #expect(plain.path == ["v1", "experiments", "HERO", "results"])
        #expect(plain.query.allSatisfy { $0.1 == nil })
        let results = try parse(
            "results exp --function f/n --definition 2 --aggregate sum --alpha 0.01 "
                + "--lower-is-better --as-of 12",
            as: Results.self)
        #expect(results.path == ["v1", "functions", "f/n", "experiments", "exp", "results"])
        let asked = results.query.compactMap { name, value in value.map { "\(name)=\($0)" } }
        #expect(
            asked == [
                "definition=2", "asOf=12", "aggregate=sum", "alpha=0.01", "lowerIsBetter=true",
            ])
    }

    @Test func `json is short for the output of that name`() throws {
        #expect(try parse("results HERO --json", as: Results.self).options.format == .json)
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
        "keys create --role boss", "keys revoke", "get labs --json -o yaml", "select f e",
        "select f e r", "select f e r --weight a", "select f e r --weight a=-1",
        "select f e r --weight a=1 --weight a=2", "select f e r --fixed a",
        "select f e r --weight a=1 --fixed a", "select f e r --variant a --fixed a --custom a",
        "select f e r --variant a --fixed a --fallback a", "select f e r --bucket-json {",
        "select f e r --read-only --weight a=1", "score", "score HERO n", "score HERO n 1",
        "score HERO n x --subject u", "score HERO n \"1\" --subject u",
        "score HERO n 1 --subject u --function f --run r", "score HERO n 1 --run r",
        "score HERO n 1 --subject u --metadata 1", "score HERO n 1 --subject u --batch-key k",
        "score HERO -f a", "score -f a --subject u", "score -f a --batch-key é",
        "score retract", "score retract x", "results", "results HERO --cohort 1 --function f",
        "results HERO --definition 1", "results HERO --alpha 2", "results HERO --aggregate first",
        "results HERO --minimum-effect -1",
    ])
    func `what can't be used ends with 2`(arguments: String) throws {
        let error = #expect(throws: (any Error).self) {
            try Ledger.parseAsRoot(arguments.split(separator: " ").map(String.init))
        }
        #expect(Main.status(of: try #require(error)) == 2)
    }

    @Test(arguments: ["--help", "--version", "apply --help", "keys create --help", "score --help"])
    func `asking for help ends with 0`(arguments: String) throws {
        let words = arguments.split(separator: " ").map(String.init)
        let error = #expect(throws: (any Error).self) {
            var command = try Ledger.parseAsRoot(words)
            try command.run()
        }
        #expect(Main.status(of: try #require(error)) == 0)
    }
}
