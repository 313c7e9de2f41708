import Domain
import FaultyReceiver
import JSON
import Testing

@testable import Webhooks

@Suite("An endpoint behind TLS")
struct CertificateTests {
    @Test("gets nothing under an expired or wrong certificate, and all of it under a valid one")
    func certificates() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            let authority = try CertificateAuthority()
            let own = try authority.issue("client", name: "DNS:ledger")
            let fronts = [
                "expired": try TLSFront(
                    to: receiver,
                    showing: authority.issue("expired", name: "IP:127.0.0.1", days: -1)),
                "other": try TLSFront(
                    to: receiver, showing: authority.issue("other", name: "DNS:elsewhere")),
                "valid": try TLSFront(
                    to: receiver, showing: authority.issue("valid", name: "IP:127.0.0.1"),
                    clientRoot: authority.root),
            ]
            for (id, front) in fronts {
                try await ledger.register(
                    id, front.url,
                    more: ",\"authorities\":\(try Self.text(authority.root.certificatePEM))"
                        + ",\"certificate\":\(try Self.text(own.certificatePEM))"
                        + ",\"privateKey\":\(try Self.text(own.keyPEM))")
            }
            try await ledger.assign(["a"])
            #expect(try await ledger.delivered(1, to: "valid"))
            for id in ["expired", "other"] {
                #expect(try await ledger.eventually { try await ledger.status(id).failures > 0 })
                #expect(
                    try await ledger.status(id).reason?.contains("no trusted connection") == true)
            }
            #expect(receiver.received.count == 1)
            withExtendedLifetime(fronts) {}
        }
    }

    private static func text(_ bytes: [UInt8]) -> String {
        var writer = JSONWriter()
        writer.string(String(decoding: bytes, as: UTF8.self))
        return writer.text
    }
}
