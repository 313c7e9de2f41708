/// Text made ready for a terminal.
enum Display {
    /// How many columns a terminal gives the text.
    static func width(_ text: String) -> Int {
        text.reduce(0) { $0 + width($1) }
    }

    /// Text with control characters made visible: names come from anyone, and could otherwise
    /// steer the terminal.
    static func oneLine(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator:
                result += scalar == "\n" ? " " : "\\u{\(String(scalar.value, radix: 16))}"
            default:
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Text in lines of at most so many columns, those after the first indented; a longer word
    /// stays whole.
    static func wrapped(_ text: String, columns: Int, indent: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ").map(String.init) {
            let isEmpty = line.isEmpty || line.allSatisfy { $0 == " " }
            if !isEmpty, width(line) + 1 + width(word) > columns {
                lines.append(line)
                line = String(repeating: " ", count: indent) + word
            } else {
                line += (isEmpty ? "" : " ") + word
            }
        }
        return lines + [line]
    }

    private static func width(_ character: Character) -> Int {
        let scalars = character.unicodeScalars
        guard let first = scalars.first else { return 0 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: break
        }
        // U+FE0F asks for the coloured form, which is wide.
        let isWide =
            first.properties.isEmojiPresentation || scalars.contains("\u{fe0f}")
            || wide.contains { $0.contains(first.value) }
        return isWide ? 2 : 1
    }

    /// What is Wide or Fullwidth in Unicode's EastAsianWidth.txt, emoji aside.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115f, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf, 0x4e00...0x9fff,
        0xa000...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe10...0xfe19,
        0xfe30...0xfe6f, 0xff00...0xff60, 0xffe0...0xffe6, 0x1b000...0x1b2ff, 0x20000...0x3fffd,
    ]
}
