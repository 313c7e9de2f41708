import Foundation
import Testing

@testable import Secrets

@Suite final class SecretBoxTests {
    private let directory = FileManager.default.temporaryDirectory
        .appending(path: "ledger-secrets-\(UUID().uuidString)")
    private var path: String { directory.appending(path: "key").path }
    private let secret = Array("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".utf8)

    init() throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    private func box(_ name: String = "key") throws -> SecretBox {
        try SecretBox(keyFile: directory.appending(path: name).path, createIfMissing: true)
    }

    private func mode(_ mode: Int) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    // MARK: Sealing

    @Test func whatIsSealedOpensForItsContextAndSaysNothingOfItself() throws {
        let box = try box()
        let sealed = try box.seal(secret, for: "webhook/1")
        #expect(try box.open(sealed, for: "webhook/1") == secret)
        #expect(!sealed.contains("whsec_"))
        #expect(sealed.hasPrefix("\(box.keyID)."))
        #expect(try box.seal(secret, for: "webhook/1") != sealed)
        #expect(try box.open(try box.seal([], for: "c"), for: "c") == [])
    }

    @Test func anotherProcessWithTheSameFileOpensIt() throws {
        let sealed = try box().seal(secret, for: "webhook/1")
        #expect(try SecretBox(keyFile: path).open(sealed, for: "webhook/1") == secret)
    }

    @Test func anotherContextDoesNotOpenIt() throws {
        let box = try box()
        let sealed = try box.seal(secret, for: "webhook/1")
        #expect(throws: SecretBoxError.broken(context: "webhook/2")) {
            try box.open(sealed, for: "webhook/2")
        }
    }

    @Test func anotherKeyFileIsToldApartFromABrokenText() throws {
        let (first, second) = (try box("a"), try box("b"))
        let sealed = try first.seal(secret, for: "webhook/1")
        let error = #expect(throws: SecretBoxError.self) {
            try second.open(sealed, for: "webhook/1")
        }
        #expect(error == .wrongKey(sealedWith: first.keyID, present: second.keyID))
        #expect(error?.description.contains("sealed with another key file") == true)
    }

    @Test func everyAlteredByteIsNoticed() throws {
        let box = try box()
        let sealed = try box.seal(secret, for: "webhook/1")
        let bytes = try #require(Data(base64Encoded: String(sealed.dropFirst(9))))
        for index in bytes.indices {
            var altered = bytes
            altered[index] ^= 1
            let text = "\(box.keyID).\(altered.base64EncodedString())"
            #expect(throws: SecretBoxError.broken(context: "webhook/1")) {
                try box.open(text, for: "webhook/1")
            }
        }
    }

    @Test(arguments: ["", ".", "AQ==", "x.y.z", "00000000.AQ==", "00000000.not base64"])
    func whatWasNeverSealedIsBroken(text: String) throws {
        let box = try box()
        #expect(throws: SecretBoxError.broken(context: "c")) { try box.open(text, for: "c") }
    }

    // MARK: The key file

    @Test func aKeyFileIsMadeForItsOwnerAloneWithOneLine() throws {
        _ = try box()
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.wholeMatch(of: /ledger-key-1 [A-Za-z0-9+\/]{43}=\n/) != nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["key"])
    }

    @Test func aKeyFileThatIsThereIsNeverReplaced() throws {
        let first = try box()
        #expect(try box().keyID == first.keyID)
    }

    @Test func whatStandsAtThePathIsKeptEvenWhereItLeadsNowhere() throws {
        try FileManager.default.createSymbolicLink(
            atPath: path, withDestinationPath: directory.appending(path: "none").path)
        #expect(throws: SecretBoxError.keyFileMissing(path: path)) {
            try SecretBox(keyFile: path, createIfMissing: true)
        }
        #expect(
            try FileManager.default.destinationOfSymbolicLink(atPath: path)
                == directory.appending(path: "none").path)
    }

    @Test func ofManyThatMakeTheFileAtOnceAllGetTheSameKey() async throws {
        let path = path
        let ids = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<16 {
                group.addTask { try SecretBox(keyFile: path, createIfMissing: true).keyID }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
    }

    @Test func aMissingFileIsMadeOnlyWhereThatIsAsked() {
        #expect(throws: SecretBoxError.keyFileMissing(path: path)) {
            try SecretBox(keyFile: path)
        }
    }

    @Test(arguments: [0o640, 0o604, 0o620, 0o601])
    func aFileThatOthersCanUseIsRefused(bits: Int) throws {
        _ = try box()
        try mode(bits)
        let error = #expect(throws: SecretBoxError.self) { try SecretBox(keyFile: path) }
        #expect(error == .keyFileOpenToOthers(path: path, mode: UInt32(bits)))
        #expect(error?.description.contains("chmod 600 \(path)") == true)
        try mode(0o400)
        _ = try SecretBox(keyFile: path)
    }

    @Test(arguments: [
        "", "ledger-key-1", "ledger-key-1 c2hvcnQ=\n", "ledger-key-2 \(key)\n", "\(key)\n",
        "ledger-key-1 \(key)", "ledger-key-1 \(key)\n\n", "ledger-key-1  \(key)\n",
    ])
    func whatIsNoKeyFileIsRefused(text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
        try mode(0o600)
        #expect(throws: SecretBoxError.keyFileMalformed(path: path)) {
            try SecretBox(keyFile: path)
        }
    }

    private static let key = Data(repeating: 7, count: 32).base64EncodedString()

    @Test func aFolderThatIsNotThereIsNamed() {
        let path = directory.appending(path: "none/key").path
        let error = #expect(throws: SecretBoxError.self) {
            try SecretBox(keyFile: path, createIfMissing: true)
        }
        #expect(error?.description.contains("No such file or directory") == true)
    }
}
