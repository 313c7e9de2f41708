import Curl
import FaultyReceiver
import Testing

@Suite final class TLSTests {
    private let sender = Sender()
    private let receiver = FaultyReceiver()
    private let authority: CertificateAuthority
    /// Those of the test, which run until it ends.
    private var fronts: [TLSFront] = []

    init() throws {
        authority = try CertificateAuthority()
    }

    private func startFront(
        showing certificate: CertificateAuthority.Certificate,
        clientRoot: CertificateAuthority.Certificate? = nil
    ) throws -> TLSFront {
        let front = try TLSFront(to: receiver, showing: certificate, clientRoot: clientRoot)
        fronts.append(front)
        return front
    }

    private func target(
        _ front: TLSFront, adjust: (inout Target.Options) throws -> Void = { _ in }
    ) throws -> Target {
        var options = Target.Options(url: front.url)
        options.caPEM = try authority.root.certificatePEM
        try adjust(&options)
        return Target(options) { _ in true }
    }

    private func expectUntrusted(_ target: Target) throws {
        let outcome = try sender.send(target)
        #expect(outcome.error?.kind == .untrusted)
        #expect(!outcome.wasSent)
        #expect(receiver.received.isEmpty)
    }

    @Test func `a certificate of the target's own authority is trusted`() throws {
        let certificate = try authority.issue("valid", name: "IP:127.0.0.1")
        let target = try self.target(startFront(showing: certificate))
        #expect(try sender.send(target).status == 200)
        #expect(try sender.send(target).isReusedConnection)
    }

    @Test func `an expired certificate is not trusted`() throws {
        let certificate = try authority.issue("expired", name: "IP:127.0.0.1", days: -1)
        try expectUntrusted(target(startFront(showing: certificate)))
    }

    @Test func `a certificate for another host is not trusted`() throws {
        let certificate = try authority.issue("other", name: "DNS:example.com")
        try expectUntrusted(target(startFront(showing: certificate)))
    }

    @Test func `a certificate of an unknown authority is not trusted`() throws {
        let certificate = try authority.issue("valid", name: "IP:127.0.0.1")
        let front = try startFront(showing: certificate)
        try expectUntrusted(target(front) { $0.caPEM = nil })
        let stranger = try CertificateAuthority()
        try expectUntrusted(target(front) { $0.caPEM = try stranger.root.certificatePEM })
    }

    @Test func `a target shows its certificate to a receiver that asks for one`() throws {
        let certificate = try authority.issue("valid", name: "IP:127.0.0.1")
        let own = try authority.issue("client", name: "DNS:ledger.example")
        let front = try startFront(showing: certificate, clientRoot: authority.root)
        let bare = try sender.send(target(front))
        #expect(bare.error != nil && receiver.received.isEmpty)
        let outcome = try sender.send(
            target(front) {
                $0.certificatePEM = try own.certificatePEM
                $0.keyPEM = try own.keyPEM
            })
        #expect(outcome.status == 200)
    }
}
