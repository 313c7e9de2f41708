import SeededRandomness
import Testing

@testable import Proof

/// The known answers of Go's `sumdb/note`.
private enum Known {
    static let verifier = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    static let signer =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    static let other = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
    static let text = """
        If you think cryptography is the answer to your problem,
        then you don't know what your problem is.

        """
    static let peter =
        "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"
        + "ngotpRZb6KE6RyyBwJnAM=\n"
    static let enoch =
        "\u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwn"
        + "WLox33WWd1RvMc+QQ=\n"
}

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct NoteKeyTests {
    @Test func knownKeysAreReadAndWritten() throws {
        #expect(try VerifierKey(Known.verifier).description == Known.verifier)
        #expect(try VerifierKey(" \(Known.verifier)\n").name == "PeterNeumann")
        let key = try SigningKey(Known.signer)
        #expect(key.verifierKey == (try VerifierKey(Known.verifier)))
        #expect(key.secretText == Known.signer)
    }

    @Test(arguments: [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "", "++", "a+b+c",
    ])
    func keysOfAnotherKindAreRefused(_ text: String) {
        #expect(throws: NoteError.self) { try VerifierKey(text) }
    }

    @Test func anyChangeToAKeyIsRefused() {
        func refuses(_ text: [UInt8], _ read: (String) throws(NoteError) -> Void) {
            #expect(throws: NoteError.self) { try read(String(decoding: text, as: UTF8.self)) }
        }
        for (known, read) in [
            (
                Known.verifier,
                { (text: String) throws(NoteError) in _ = try VerifierKey(text) }
            ),
            (
                Known.signer,
                { (text: String) throws(NoteError) in _ = try SigningKey(text) }
            ),
        ] {
            let text = bytes(known)
            for index in text.indices {
                var changed = text
                changed[index] += 1
                refuses(changed, read)
                refuses(Array(text[..<index]), read)
                refuses(Array(text[(index + 1)...]), read)
            }
        }
    }

    @Test func aNewKeyIsNamedAfterItself() throws {
        let key = try SigningKey()
        #expect(key.verifierKey.name.hasPrefix("ledger/") && key.verifierKey.name.count == 23)
        let named = try SigningKey(name: "example.com/log")
        #expect(try SigningKey(named.secretText).verifierKey == named.verifierKey)
        for name in ["", "a b", "a+b", "a\u{A0}b", "a\nb", String(repeating: "x", count: 256)] {
            #expect(throws: NoteError.self) { try SigningKey(name: name) }
        }
    }
}

@Suite struct SignedNoteTests {
    @Test func aKnownTextGetsItsKnownSignature() throws {
        let note = try SignedNote(signing: Known.text, with: SigningKey(Known.signer))
        #expect(note.bytes == bytes(Known.text + "\n" + Known.peter))
    }

    @Test func eachSignatureIsCheckedByItsKeyAlone() throws {
        let note = try SignedNote(bytes(Known.text + "\n" + Known.peter + Known.enoch))
        #expect(note.signatures.map(\.keyName) == ["PeterNeumann", "EnochRoot"])
        #expect(note.text == bytes(Known.text))
        try note.verify(VerifierKey(Known.verifier))
        try note.verify(VerifierKey(Known.other))
        let one = try SignedNote(bytes(Known.text + "\n" + Known.enoch))
        #expect(throws: NoteError.self) { try one.verify(VerifierKey(Known.verifier)) }
    }

    @Test func aNoteWithATextOfSeveralParagraphsEndsAtTheLastEmptyLine() throws {
        let key = try SigningKey()
        let note = try SignedNote(signing: "a\n\nb\n", with: key)
        #expect(try SignedNote(note.bytes) == note)
        try SignedNote(note.bytes).verify(key.verifierKey)
    }

    @Test func aSignatureOfAnotherTextIsRefused() throws {
        let forged = try SignedNote(bytes("Another text.\n\n" + Known.peter))
        #expect(throws: NoteError.self) { try forged.verify(VerifierKey(Known.verifier)) }
    }

    @Test(arguments: [
        Known.text, Known.text + "\n", Known.text + "\n" + Known.peter.dropLast(),
        "\u{1}" + Known.text + "\n" + Known.peter, "\n" + Known.peter, "",
        Known.text + "\n" + Known.peter.replacing("PeterNeumann", with: "Peter Neumann"),
        Known.text + "\n" + Known.peter.replacing("AM=", with: "AN="),
        Known.text + "\n" + Known.peter.replacing("AM=\n", with: "AM\n"),
        Known.text + "\n" + Known.peter.replacing("\u{2014}", with: "-"),
        Known.text + "\n" + Known.peter + "Unexpected line.\n",
        Known.text + "\n" + String(repeating: Known.peter, count: 101),
    ])
    func whatIsNoNoteIsRefused(_ text: String) {
        #expect(throws: NoteError.self) { try SignedNote(bytes(text)) }
    }

    @Test func aNoteThatIsNoTextIsRefused() {
        #expect(throws: NoteError.self) {
            try SignedNote([0xFF] + bytes(Known.text + "\n" + Known.peter))
        }
    }
}

@Suite struct CheckpointTests {
    private let root = MerkleFrontier.leaf([1, 2, 3])

    @Test func aCheckpointIsReadAsItWasSigned() throws {
        let key = try SigningKey(name: "example.com/log")
        let checkpoint = try Checkpoint(size: 20_852_163, root: root, signedWith: key)
        let read = try Checkpoint(checkpoint.bytes)
        #expect(read == checkpoint && read.size == 20_852_163 && read.root == root)
        try read.verify(key.verifierKey)
        #expect(throws: NoteError.self) { try read.verify(SigningKey().verifierKey) }
    }

    @Test func furtherLinesAndSignaturesAreKept() throws {
        let key = try SigningKey(name: "a")
        let witness = try SigningKey(name: "b")
        let text = "a\n7\n\(root.base64)\nmore\n"
        var note = try SignedNote(signing: text, with: key).bytes
        note += try SignedNote(signing: text, with: witness).bytes.suffix(
            from: text.utf8.count + 1)
        let read = try Checkpoint(note)
        #expect(read.size == 7 && read.bytes == note)
        try read.verify(key.verifierKey)
        try read.note.verify(witness.verifierKey)
    }

    @Test(arguments: [
        "a\n07\nROOT\n", "a\n-7\nROOT\n", "a\n+7\nROOT\n", "a\n7\n", "a\n\nROOT\n", "\n7\nROOT\n",
        "a\n7\nROOT=\n", "a\n99999999999999999999\nROOT\n", "a\n7\nAAAA\n", "a\n7\nROOT\n\nmore\n",
    ])
    func whatIsNoCheckpointIsRefused(_ text: String) throws {
        let text = text.replacing("ROOT", with: root.base64)
        let note = try SignedNote(signing: text, with: SigningKey())
        #expect(throws: NoteError.self) { try Checkpoint(note.bytes) }
    }

    @Test func aCheckpointOfAnotherLogIsRefused() throws {
        let key = try SigningKey(name: "a")
        let note = try SignedNote(signing: "b\n7\n\(root.base64)\n", with: key)
        #expect(throws: NoteError.self) { try Checkpoint(note.bytes).verify(key.verifierKey) }
    }
}

@Suite struct ProofFileTests {
    private let lines = (0..<9).map { bytes("{\"position\":\($0 + 1),\"text\":\"\u{E9}\"}") }

    private func proof(_ index: Int, _ key: SigningKey) throws -> ProofFile {
        let leaves = lines.map { MerkleFrontier.leaf($0) }
        let ranges = MerkleProof.inclusion(of: UInt64(index), in: 9)
        let group = [TreeGroup(level: 0, index: 0): leaves]
        let hashes = try #require(TreeReading(ranges).hashes(group))
        let root = try #require(TreeReading([0..<9]).hashes(group)?.first)
        return ProofFile(
            line: lines[index], index: Int64(index), hashes: hashes,
            checkpoint: try Checkpoint(size: 9, root: root, signedWith: key))
    }

    @Test func aProofIsReadAsItWasWrittenAndHolds() throws {
        let key = try SigningKey()
        for index in lines.indices {
            let proof = try proof(index, key)
            let read = try ProofFile(proof.bytes)
            #expect(read == proof && read.line == lines[index])
            try read.verify(key.verifierKey)
            #expect(throws: NoteError.self) { try read.verify(SigningKey().verifierKey) }
        }
    }

    @Test func aProofInWhichAnyByteIsChangedProvesNothing() throws {
        var generator = SeededGenerator()
        let key = try SigningKey()
        let good = try proof(3, key).bytes
        for index in good.indices {
            var changed = good
            changed[index] ^= UInt8.random(in: 1...255, using: &generator)
            #expect(throws: NoteError.self, "byte \(index)") {
                try ProofFile(changed).verify(key.verifierKey)
            }
        }
    }

    @Test func aProofOfAnotherPlaceIsRefused() throws {
        let key = try SigningKey()
        var moved = try proof(3, key)
        moved.index = 2
        #expect(throws: NoteError.self) { try moved.verify(key.verifierKey) }
        moved.index = 9
        #expect(throws: NoteError.self) { try moved.verify(key.verifierKey) }
    }
}
