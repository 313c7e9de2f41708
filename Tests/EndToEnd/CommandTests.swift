import Glibc
import TestSupport
import Testing

@Suite("The command line", .serialized)
struct CommandTests {
    @Test("exits with 2 and names a setting that is unknown")
    func unknownSetting() throws {
        let result = try LedgerProcess.run(["serve"], environment: ["LEDGER_LISTN": "x"])
        #expect(result.status == 2)
        #expect(result.output.contains("LEDGER_LISTN is no setting"))
    }

    @Test(
        "exits with 2 and names a setting that is malformed",
        arguments: [
            ("LEDGER_LISTEN", "8080"), ("LEDGER_LOG_LEVEL", "loud"), ("LEDGER_READERS", "0"),
            ("LEDGER_READERS", "many"),
        ])
    func malformedSetting(_ setting: (name: String, value: String)) throws {
        let result = try LedgerProcess.run(
            ["serve"], environment: [setting.name: setting.value])
        #expect(result.status == 2)
        #expect(result.output.contains(setting.name))
    }

    @Test("exits with 1 and says what to do where no server answers")
    func noServer() throws {
        let result = try LedgerProcess.run(
            ["get", "experiments", "--url", "http://127.0.0.1:\(freePort())"])
        #expect(result.status == 1)
        #expect(result.output.contains("ledger serve"))
    }

    @Test("serves other addresses with keys only, and makes the first key without a server")
    func firstKey() throws {
        let directory = try temporaryDirectory()
        defer { removeTree(directory) }
        let refused = try LedgerProcess.run(
            ["serve", "--listen", "0.0.0.0:0", "--data-dir", directory])
        #expect(refused.status == 1)
        #expect(refused.output.contains("ledger keys create --role admin --data-dir"))
        let created = try LedgerProcess.run(
            ["keys", "create", "--role", "admin", "--id", "root", "--data-dir", directory])
        #expect(created.status == 0)
        let secret = created.output.split(whereSeparator: \.isWhitespace).first {
            $0.hasPrefix("ldg_root_")
        }
        let key = String(try #require(secret))
        // On loopback no key is needed, so one that is sent shows whether it is known.
        let server = try LedgerProcess.serve(dataDirectory: directory)
        defer {
            server.kill(SIGTERM)
            server.wait()
        }
        let listed = try LedgerProcess.run(["keys", "list", "--url", server.url, "--key", key])
        #expect(listed.status == 0)
        #expect(listed.output.contains("root"))
        let wrong = try LedgerProcess.run(
            ["keys", "list", "--url", server.url, "--key", key + "0"])
        #expect(wrong.status == 1)
    }

    @Test("applies the example from draft to winner, and reads its whole history")
    func example() throws {
        let directory = try temporaryDirectory()
        defer { removeTree(directory) }
        let server = try LedgerProcess.serve(dataDirectory: directory)
        defer {
            server.kill(SIGTERM)
            server.wait()
        }
        let example = #filePath.dropLast("Tests/EndToEnd/CommandTests.swift".count) + "ops/example/"
        func run(_ arguments: String...) throws -> String {
            let result = try LedgerProcess.run(arguments + ["--url", server.url])
            #expect(result.status == 0, "\(arguments): \(result.output)")
            return result.output
        }
        _ = try run("apply", "-f", example + "1-draft.yaml")
        #expect(try run("assign", "HERO-NOV-2024", "v1").contains("NOT_ACTIVE"))
        _ = try run("apply", "-f", example + "2-active.yaml")
        #expect(try run("assign", "HERO-NOV-2024", "v1", "v2").contains("NEW"))
        _ = try run("apply", "-f", example + "3-second-cohort.yaml")
        #expect(try run("apply", "-f", example + "3-second-cohort.yaml").contains("unchanged"))
        #expect(try run("assign", "HERO-NOV-2024", "v1", "v2").contains("EXISTING"))
        _ = try run("apply", "-f", example + "4-winner.yaml")
        #expect(try run("assign", "HERO-NOV-2024", "v1").contains("WINNER"))
        let history = try run("history", "HERO-NOV-2024")
        for step in ["ExperimentCreated", "CohortAdded", "ExperimentActivated", "WinnerDeclared"] {
            #expect(history.contains(step))
        }
        let exported = try LedgerProcess.run([
            "export", "--data-dir", directory, "-o", directory + "/log",
        ])
        #expect(exported.status == 0, "\(exported.output)")
        let other = try temporaryDirectory()
        defer { removeTree(other) }
        let imported = try LedgerProcess.run(["import", directory + "/log", "--data-dir", other])
        #expect(imported.status == 0, "\(imported.output)")
        let again = try LedgerProcess.run(["export", "--data-dir", other, "-o", other + "/log"])
        #expect(again.status == 0, "\(again.output)")
        #expect(try bytes(directory + "/log") == bytes(other + "/log"))
    }

    @Test("erases a sealed subject, so that neither an export nor a rebuild has it")
    func erasure() throws {
        let directory = try temporaryDirectory()
        defer { removeTree(directory) }
        let server = try LedgerProcess.serve(dataDirectory: directory)
        func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
            try LedgerProcess.run(arguments + ["--url", server.url])
        }
        let document = directory + "/secret.yaml"
        try write(
            """
            schemaVersion: 1
            kind: experiment
            metadata: {id: SECRET, status: active}
            spec:
              sealed: true
              variants: [{id: A, isControl: true}, {id: B}]
              cohorts: [{index: 1, variants: [{variant: A, split: 0.5}, {variant: B, split: 0.5}]}]
            """, to: document)
        #expect(try run(["apply", "-f", document]).status == 0)
        let shown = try run(["get", "experiments", "SECRET", "-o", "yaml"])
        #expect(shown.output.contains("sealed: true"))
        for subject in ["alice@example.com", "bob@example.com"] {
            #expect(try run(["assign", "SECRET", subject]).output.contains(subject))
            let score = try run(["score", "SECRET", "n", "1", "--subject", subject])
            #expect(score.status == 0, "\(score.output)")
        }
        #expect(try run(["get", "assignments", "SECRET"]).output.contains("alice@example.com"))
        let unasked = try run(["erase", "alice@example.com"])
        #expect(unasked.status == 1 && unasked.output.contains("--yes"))
        let erased = try run(["erase", "alice@example.com", "--reason", "asked", "--yes"])
        #expect(erased.status == 0 && erased.output.contains("sealed in: SECRET"))
        let again = try run(["erase", "alice@example.com", "--yes"])
        #expect(again.status == 1 && again.output.contains("nothing to erase"))
        let listed = try run(["get", "assignments", "SECRET"]).output
        #expect(listed.contains("bob@example.com") && !listed.contains("alice"))
        #expect(try run(["history"]).output.contains("erased: asked"))
        server.kill(SIGTERM)
        server.wait()
        for arguments in [["verify"], ["rebuild"], ["rebuild", "--verify"]] {
            let result = try LedgerProcess.run(arguments + ["--data-dir", directory])
            #expect(result.status == 0, "\(arguments): \(result.output)")
        }
        let exported = try LedgerProcess.run([
            "export", "--data-dir", directory, "-o", directory + "/log",
        ])
        #expect(exported.status == 0, "\(exported.output)")
        let lines = String(decoding: try bytes(directory + "/log"), as: UTF8.self)
        #expect(lines.contains("SubjectErased") && !lines.contains("example.com"))
    }

    @Test("selects, scores and shows the results of a step experiment")
    func results() throws {
        let directory = try temporaryDirectory()
        defer { removeTree(directory) }
        let server = try LedgerProcess.serve(dataDirectory: directory)
        defer {
            server.kill(SIGTERM)
            server.wait()
        }
        func run(_ arguments: [String]) throws -> String {
            let result = try LedgerProcess.run(arguments + ["--url", server.url])
            #expect(result.status == 0, "\(arguments): \(result.output)")
            return result.output
        }
        let step = ["f/n", "model comparison"]
        let runs = (1...40).map { "run_\($0)" }
        let selected = try run(
            ["select"] + step + runs + ["--weight", "gpt4o=50", "--weight", "claude=50"])
        #expect(selected.split(separator: "\n").count == 41)
        let again = try run(["select"] + step + ["run_1", "--variant", "x", "--fixed", "x"])
        #expect(again.contains("yes") && !again.contains(" x "))
        #expect(try run(["select"] + step + ["run_1", "--read-only"]) == again)

        let file = directory + "/scores.ndjson"
        func score(_ run: String, _ value: Int) -> String {
            "{\"function\":\"f/n\",\"experiment\":\"model comparison\",\"run\":\"\(run)\","
                + "\"name\":\"quality\",\"value\":\(value)}\n"
        }
        let scores = runs.enumerated().map { score($1, $0 % 7) }
        try write(scores.joined() + "\n" + score("stranger", 1), to: file)
        let refused = try LedgerProcess.run(
            ["score", "-f", file, "--batch-key", "k", "--url", server.url])
        #expect(refused.status == 1)
        #expect(refused.output.contains("line 42: run stranger has no variant"))
        #expect(refused.output.contains("Nothing is recorded."))
        try write(scores.joined(), to: file)
        let sent = try run(["score", "-f", file, "--batch-key", "k"])
        #expect(sent.contains("Recorded 40 scores"))
        #expect(try run(["score", "-f", file, "--batch-key", "k"]) == sent)
        let one = try run([
            "score", step[1], "quality", "-3.5", "--function", step[0], "--run", "run_1", "--json",
        ])
        let position = try #require(
            one.firstMatch(of: #/"position":(\d+)/#).map { String($0.output.1) })
        #expect(try run(["score", "retract", position]).contains("retracted at position"))
        #expect(try run(["score", "retract", position]).contains("was retracted before"))

        let results = try run(["results", step[1], "--function", step[0], "--control", "gpt4o"])
        #expect(results.hasPrefix("f/n / model comparison\nFigures up to position "))
        #expect(results.contains("score quality  40 scores"))
        #expect(results.contains("Against gpt4o:"))
        #expect(results.contains("claude: none yet."))

        _ = try run(["select"] + step + ["run_41", "--fixed", "claude", "--variant", "claude"])
        let ratio = try run(["results", step[1], "--function", step[0], "--definition", "2"])
        #expect(ratio.contains("there is no split to test"))
        let unknown = try LedgerProcess.run(["results", "HERO", "--url", server.url])
        #expect(unknown.status == 1)
        #expect(unknown.output.contains("There is no experiment HERO."))
    }

    private func write(_ text: String, to path: String) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        #expect(fputs(text, file) >= 0)
    }

    private func bytes(_ path: String) throws -> [UInt8] {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(byte)) }
        return bytes
    }
}
