import SeededRandomness
import Testing

@testable import Domain

@Suite struct IdentifierTests {
    @Test func `a resource ID is stored in upper case and told apart by it`() {
        #expect(ResourceID("home-page_1.x")?.text == "HOME-PAGE_1.X")
        #expect(ResourceID("a") == ResourceID("A"))
        #expect(ResourceID(String(repeating: "a", count: 128)) != nil)
    }

    @Test(arguments: [
        "", " ", "a b", "a/b", "ä", "ß", "a\n", "ı", "a%", String(repeating: "a", count: 129),
    ])
    func `other texts are no resource ID`(text: String) {
        #expect(ResourceID(text) == nil)
    }

    @Test func `a subject is 1 to 512 bytes without U+0000`() {
        #expect(isValidSubject("a") && isValidSubject(" /%é\n"))
        #expect(isValidSubject(String(repeating: "é", count: 256)))
        #expect(!isValidSubject(String(repeating: "é", count: 256) + "a"))
        #expect(!isValidSubject("") && !isValidSubject("a\0"))
    }

    @Test func `stream names encode the slash and the percent sign of a part, nothing else`() {
        #expect(StreamName.assignment(id("e"), "a/b%c d é") == "assignment/E/a%2Fb%25c d é")
        #expect(StreamName.assignment(id("e"), "a%2Fb") == "assignment/E/a%252Fb")
        #expect(StreamName.key("a/b") == "key/a%2Fb")
        #expect(StreamName.lab(id("l")) == "lab/L")
        #expect(StreamName.subjectType(id("t")) == "subjecttype/T")
        #expect(StreamName.experiment(id("e")) == "experiment/E")
    }

    @Test func `different subjects have different streams`() {
        var generator = SeededGenerator()
        var subjects: [String: String] = [:]
        for _ in 0..<5_000 {
            let length = Int.random(in: 1...4, using: &generator)
            let subject = String(
                (0..<length).map { _ in "a/%2F5".randomElement(using: &generator) ?? "a" })
            let stream = StreamName.assignment(id("e"), subject)
            #expect(subjects[stream] == nil || subjects[stream] == subject, "\(generator.seed)")
            #expect(stream.split(separator: "/").count == 3)
            subjects[stream] = subject
        }
    }

    @Test func `an event ID is a version 7 UUID of its time and reads back`() {
        var generator = SeededGenerator()
        for _ in 0..<2_000 {
            let time = Timestamp(
                microseconds: .random(in: 0..<4_000_000_000_000_000, using: &generator))
            let id = EventID(at: time, using: &generator)
            #expect(EventID(id.description) == id, "seed \(generator.seed)")
            #expect(EventID(id.description.uppercased()) == id)
            #expect(EventID(bytes: id.bytes) == id)
            #expect(id.high >> 12 & 0xF == 7 && id.low >> 62 == 0b10)
            #expect(id.high >> 16 == UInt64(time.microseconds / 1_000))
        }
    }

    @Test func `an event ID has the form of a UUID`() {
        let text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
        #expect(EventID(text)?.description == text)
        for wrong in [
            "", "017f22e279b07cc398c4dc0c0c07398f", text + "0",
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
            "017f22e2079b0-7cc3-98c4-dc0c0c07398f", "{\(text)}",
        ] {
            #expect(EventID(wrong) == nil)
        }
        #expect(EventID(bytes: [1]) == nil)
    }
}
