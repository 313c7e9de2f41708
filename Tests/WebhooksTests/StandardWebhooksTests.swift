import Domain
import FaultyReceiver
import Foundation
import JSON
import PythonEnvironment
import Testing

@testable import Webhooks

@Suite("Standard Webhooks' own library")
struct StandardWebhooksTests {
    private static let python = PythonEnvironment(
        packages: ["standardwebhooks==1.1.0", "cryptography==46.0.3"],
        check: "import standardwebhooks, cryptography")

    /// Verifies each delivery of a list, and prints the type of its event.
    private static let verifier = """
        import base64, json, sys
        from standardwebhooks.webhooks import Webhook
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        for d in json.load(open(sys.argv[1])):
            if d["secret"].startswith("whpk_"):
                key = Ed25519PublicKey.from_public_bytes(base64.b64decode(d["secret"][5:]))
                signed = f'{d["id"]}.{d["timestamp"]}.{d["body"]}'.encode()
                version, signature = d["signature"].split(" ")[0].split(",")
                assert version == "v1a"
                key.verify(base64.b64decode(signature), signed)
                print(json.loads(d["body"])["type"])
            else:
                headers = {"webhook-id": d["id"], "webhook-timestamp": d["timestamp"],
                           "webhook-signature": d["signature"]}
                print(Webhook(d["secret"]).verify(d["body"], headers)["type"])
        """

    @Test("verifies deliveries, with the old secret and the new one while they change")
    func verifies() async throws {
        do throws(PythonEnvironment.Failure) { try Self.python.ready() } catch {
            try Test.cancel("No standardwebhooks to verify with: \(error)")
        }
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            let old = try await ledger.register("hmac", receiver.url + "/hmac")
            let ed25519 = try await ledger.register(
                "ed", receiver.url + "/ed", more: #","signature":"ed25519""#)
            try await ledger.assign(["a"])
            #expect(try await ledger.delivered(1, to: "hmac"))
            let new = WebhookSecret(generating: .hmac)
            try await ledger.change(
                "hmac", .rotateSecret(new.sealed(for: "hmac", in: ledger.box)))
            try await ledger.assign(["b"])
            #expect(try await ledger.delivered(2, to: "hmac"))
            #expect(try await ledger.delivered(2, to: "ed"))
            ledger.advance(by: .seconds(25 * 3_600))
            try await ledger.assign(["c"])
            #expect(try await ledger.delivered(3, to: "hmac"))

            let hmac = receiver.received.filter { $0.path == "/hmac" }
            let publicKey = try #require(ed25519.publicText)
            let checks =
                [
                    (old.text, hmac[0]), (new.text, hmac[1]), (old.text, hmac[1]),
                ] + receiver.received.filter { $0.path == "/ed" }.prefix(2).map { (publicKey, $0) }
            let verified = try Self.verify(checks)
            #expect(verified == Array(repeating: "assignment.made", count: 5))
            // A day later the old secret signs no more.
            let last = try #require(hmac.last?.header("webhook-signature"))
            #expect(last.split(separator: " ").count == 1)
            #expect(throws: (any Error).self) { try Self.verify([(old.text, hmac[2])]) }
        }
    }

    private static func verify(_ checks: [(secret: String, request: Received)]) throws -> [String] {
        var writer = JSONWriter()
        writer.beginArray()
        for (secret, request) in checks {
            writer.beginObject()
            writer.key("secret")
            writer.string(secret)
            for (key, header) in [
                ("id", "webhook-id"), ("timestamp", "webhook-timestamp"),
                ("signature", "webhook-signature"),
            ] {
                writer.key(key)
                writer.string(request.header(header) ?? "")
            }
            writer.key("body")
            writer.string(request.text)
            writer.endObject()
        }
        writer.endArray()
        return try python.run(verifier, on: writer.text)
            .split(separator: "\n").map(String.init)
    }
}
