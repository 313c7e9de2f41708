import ArgumentParser
import Foundation
import Testing

@testable import CommandLine

@Suite struct WebhookArgumentsTests {
    private func parse<Command: ParsableCommand>(
        _ arguments: [String], as type: Command.Type
    ) throws -> Command {
        try #require(Ledger.parseAsRoot(["webhook"] + arguments) as? Command)
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func `add sends what was said and nothing else`() throws {
        let add = try parse(
            ["add", "https://example.com/", "--events", "Score*", "*"], as: WebhookCommand.Add.self)
        #expect(text(try add.body()) == #"{"url":"https://example.com/","events":["Score*","*"]}"#)
        let all = try parse(
            [
                "add", "http://h/", "--events", "*", "--id", "shop", "--encoder", "ndjson",
                "--mode", "strict", "--lab", "L", "--from", "7", "--allow", "10.0.0.0/8",
                "fd00::/8",
                "--header", "X-A: b: c", "--header", "Authorization:Bearer x", "--batch-count", "9",
                "--batch-bytes", "100", "--rate-limit", "2.5", "--gzip", "--signature", "ed25519",
                "--api-key", "k",
            ], as: WebhookCommand.Add.self)
        #expect(
            text(try all.body()) == """
                {"id":"shop","url":"http://h/","from":7,"events":["*"],"filter":{"lab":"L"},\
                "encoder":"ndjson","mode":"strict","batch":{"maxCount":9,"maxBytes":100},\
                "rateLimit":2.5,"compression":"gzip","allow":["10.0.0.0/8","fd00::/8"],\
                "headers":{"X-A":"b: c","Authorization":"Bearer x"},"apiKey":"k",\
                "signature":"ed25519"}
                """)
    }

    @Test func `secrets and certificates are read from files`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func file(_ name: String, _ text: String) throws -> String {
            let url = folder.appending(path: name)
            try Data(text.utf8).write(to: url)
            return url.path(percentEncoded: false)
        }
        let token = try file("token", "Bearer t\r\n")
        let certificate = try file("cert", "-----BEGIN CERTIFICATE-----\n")
        let add = try parse(
            [
                "add", "https://h/", "--events", "*", "--header", "Authorization: @\(token)",
                "--secret", "@\(token)", "--client-cert", certificate, "--client-key", token,
            ], as: WebhookCommand.Add.self)
        #expect(
            text(try add.body()) == #"{"url":"https://h/","events":["*"],"#
                + #""headers":{"Authorization":"Bearer t"},"#
                + #""certificate":"-----BEGIN CERTIFICATE-----\n","privateKey":"Bearer t\r\n","#
                + #""secret":"Bearer t"}"#)
        let missing = try parse(
            ["add", "https://h/", "--events", "*", "--api-key", "@/no/such/file"],
            as: WebhookCommand.Add.self)
        #expect(throws: CommandFailure.self) { try missing.body() }
    }

    private static let present = """
        {"id":"shop","url":"u","events":["*"],"filter":{"lab":"L","experiment":"E"},
        "batch":{"maxCount":5,"maxBytes":6},"encoder":"e","mode":"m","signature":"hmac","from":1,
        "status":"active","version":1,"createdAt":"","updatedAt":"","replays":[],"delivery":null}
        """

    @Test(arguments: [
        ("--mode strict", #"{"mode":"strict"}"#),
        ("--target https://n/ --no-gzip", #"{"url":"https://n/","compression":"none"}"#),
        ("--experiment F", #"{"filter":{"lab":"L","experiment":"F"}}"#),
        ("--experiment F --clear filter", #"{"filter":{"experiment":"F"}}"#),
        ("--batch-bytes 7", #"{"batch":{"maxCount":5,"maxBytes":7}}"#),
        (
            "--clear headers --clear client-cert --clear rate-limit --clear gzip",
            #"{"headers":null,"compression":null,"rateLimit":null,"certificate":null,"privateKey":null}"#
        ),
        ("--clear headers --header X-A:b", #"{"headers":{"X-A":"b"}}"#),
    ])
    func `update sends what changes`(arguments: String, body: String) throws {
        let update = try parse(
            ["update", "shop"] + arguments.split(separator: " ").map(String.init),
            as: WebhookCommand.Update.self)
        let present = try ServerJSON.decode(WebhookAnswer.self, from: Self.present.utf8)
        #expect(text(try update.body(over: present)) == body)
    }

    @Test func `redeliver and replay name their events`() throws {
        let some = try parse(["redeliver", "shop", "7", "9"], as: WebhookCommand.Redeliver.self)
        #expect(text(some.body) == #"{"positions":[7,9]}"#)
        let all = try parse(["redeliver", "shop", "--all"], as: WebhookCommand.Redeliver.self)
        #expect(text(all.body) == #"{"all":true}"#)
        let replay = try parse(
            ["replay", "shop", "--from", "2026-01-31T00:00:00Z", "--to", "9", "--rate-limit", "5"],
            as: WebhookCommand.Replay.self)
        #expect(
            text(replay.body) == #"{"from":"2026-01-31T00:00:00Z","to":9,"rateLimit":5}"#)
        let cancel = try parse(["replay", "shop", "--cancel", "2"], as: WebhookCommand.Replay.self)
        #expect(cancel.cancel == 2)
    }

    @Test func `failures takes an ID and a position`() throws {
        let failures = try parse(["failures", "shop", "4711"], as: WebhookCommand.Failures.self)
        #expect(failures.target.id == "shop")
        #expect(failures.position == 4711)
    }

    @Test(arguments: [
        "add", "add https://h/", "add --events *", "add https://h/ --events * --from x",
        "add https://h/ --events * --header novalue", "add -f x --events *", "add -f x https://h/",
        "add https://h/ --events * --api-key - --header X-A:-",
        "add https://h/ --events * --client-cert f", "add https://h/ --events * --rate-limit 0",
        "list x", "list -o yaml", "show", "update shop", "update shop --clear colour",
        "update shop -f x --mode strict", "pause", "failures shop x", "failures shop 1 --limit 2",
        "redeliver shop", "redeliver shop 1 --all", "redeliver shop x", "replay shop",
        "replay shop --from 1 --cancel 1", "replay shop --cancel 1 --watch",
        "replay shop --from 1 --rate-limit -1", "show shop -o yaml",
    ])
    func `what can't be used is refused`(arguments: String) throws {
        #expect(throws: (any Error).self) {
            try Ledger.parseAsRoot(
                ["webhook"] + arguments.split(separator: " ").map(String.init))
        }
    }
}
