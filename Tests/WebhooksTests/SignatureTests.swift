import Crypto
import Domain
import Foundation
import Testing

@testable import Webhooks

@Suite struct SignatureTests {
    private static let first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    private static let second = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    private static let third = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
    private static let asymmetric =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="

    private static let id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    private static let time: Int64 = 1_614_265_330
    private static let body = Array(#"{"test": 2432232314}"#.utf8)
    private static let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    @Test(arguments: [
        (first, id, time, #"{"test": 2432232314}"#, signature),
        (
            second, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553,
            #"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        ),
        (
            third, "evt_00000000000000000001", 1_700_000_000,
            """
            {"type":"selection.recorded","timestamp":"2023-11-14T22:13:20Z",\
            "data":{"unit":"u-1","arm":"B"}}
            """,
            "v1,S+qF3P9YKUJP69AfotZNquL1vtlWUNBYpPdYFLDljTc="
        ),
    ])
    func workedCasesComeOutAsTheReferenceLibraryHasThem(
        secret: String, id: String, timestamp: Int64, body: String, signature: String
    ) throws {
        let secret = try WebhookSecret(secret)
        #expect(
            try secret.signature(id: id, timestamp: timestamp, body: Array(body.utf8)) == signature)
        // Once more, since the prepared hash must not have read the first text.
        #expect(
            try secret.signature(id: id, timestamp: timestamp, body: Array(body.utf8)) == signature)
    }

    @Test func theWorkedCaseOfEd25519IsVerifiedByItsPublicKey() throws {
        let worked =
            "hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        let secret = try WebhookSecret(Self.asymmetric)
        let header = try secret.signature(id: Self.id, timestamp: Self.time, body: Self.body)
        #expect(header.hasPrefix("v1a,"))
        let publicText = try #require(secret.publicText)
        #expect(publicText.hasPrefix("whpk_"))
        let key = try Curve25519.Signing.PublicKey(
            rawRepresentation: #require(Data(base64Encoded: String(publicText.dropFirst(5)))))
        let signed = Data("\(Self.id).\(Self.time).".utf8) + Self.body
        // Implementations may differ in their signatures of one text; all of them must verify.
        for signature in [worked, String(header.dropFirst(4))] {
            let bytes = try #require(Data(base64Encoded: signature))
            #expect(key.isValidSignature(bytes, for: signed))
        }
    }

    @Test(arguments: WebhookSignatureKind.allCases)
    func aNewSecretIsReadBackFromItsText(kind: WebhookSignatureKind) throws {
        let made = WebhookSecret(generating: kind)
        let read = try WebhookSecret(made.text)
        #expect(read.text == made.text && read.kind == kind)
        #expect(read.publicText == made.publicText)
        #expect((made.publicText == nil) == (kind == .hmac))
        #expect(WebhookSecret(generating: kind).text != made.text)
    }

    @Test func aNewHMACSecretHolds32Bytes() throws {
        let text = WebhookSecret(generating: .hmac).text
        #expect(text.hasPrefix("whsec_"))
        #expect(Data(base64Encoded: String(text.dropFirst(6)))?.count == 32)
    }

    @Test(arguments: [24, 32, 64]) func secretsOfAllAllowedLengthsAreRead(bytes: Int) throws {
        let text = "whsec_" + Data(repeating: 7, count: bytes).base64EncodedString()
        #expect(try WebhookSecret(text).text == text)
    }

    @Test(arguments: [
        ("", "begins with whsec_ or whsk_"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with whsec_ or whsk_"),
        ("whsec_", "holds 24 to 64 bytes; this one holds 0"),
        ("whsec_c2hvcnQ=", "holds 24 to 64 bytes; this one holds 5"),
        (
            "whsec_" + Data(repeating: 7, count: 65).base64EncodedString(),
            "holds 24 to 64 bytes; this one holds 65"
        ),
        ("whsec_not base64!", "base64"),
        ("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "holds 64 bytes; this one holds 24"),
        ("whsk_" + Data(repeating: 7, count: 64).base64EncodedString(), "don't belong together"),
        ("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", "only verifies"),
    ])
    func whatIsNoSecretIsRefusedWithItsReason(text: String, reason: String) {
        let error = #expect(throws: WebhookSecretError.self) { try WebhookSecret(text) }
        #expect(error?.description.contains(reason) == true)
        #expect(text.count < 10 || error?.description.contains(text.dropFirst(6)) == false)
    }

    @Test func duringARotationTheCurrentKeySignsFirstAndTheOldOneAfterASpace() throws {
        let current = try WebhookSecret(Self.second)
        let keys = SigningKeys(
            current: current, previous: try WebhookSecret(Self.first),
            previousUntil: Timestamp(microseconds: (Self.time + 1) * 1_000_000))
        let own = try current.signature(id: Self.id, timestamp: Self.time, body: Self.body)
        #expect(
            try keys.header(id: Self.id, timestamp: Self.time, body: Self.body)
                == "\(own) \(Self.signature)")
    }

    @Test func onceTheRotationIsOverTheOldKeySignsNoMore() throws {
        let keys = SigningKeys(
            current: try WebhookSecret(Self.first), previous: try WebhookSecret(Self.second),
            previousUntil: Timestamp(microseconds: Self.time * 1_000_000))
        #expect(
            try keys.header(id: Self.id, timestamp: Self.time, body: Self.body) == Self.signature)
    }

    @Test func aKeyThatWasNeverRotatedSignsAlone() throws {
        let keys = SigningKeys(current: try WebhookSecret(Self.first))
        #expect(
            try keys.header(id: Self.id, timestamp: Self.time, body: Self.body) == Self.signature)
    }
}
