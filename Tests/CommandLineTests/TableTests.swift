import Testing

@testable import CommandLine

@Suite struct TableTests {
    @Test func `columns are aligned, and no line ends in spaces`() {
        var table = Table(["id", "name", "at"], isColourful: false)
        #expect(
            table.text([["HERO", "", "1"], ["B", "long name", ""]]) == """
                ID    NAME       AT
                HERO             1
                B     long name

                """)
    }

    @Test func `wide characters count as two columns`() {
        var table = Table(["name", "x"], isColourful: false)
        #expect(
            table.text([["英雄", "1"], ["🧪 e\u{301}", "2"], ["abcdef", "3"]]) == """
                NAME    X
                英雄    1
                🧪 e\u{301}    2
                abcdef  3

                """)
    }

    @Test(arguments: [
        ("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 1), ("漢字", 4), ("한글", 4), ("ｱ", 1), ("Ａ", 2),
        ("🧪", 2), ("👩‍👩‍👧", 2), ("🇩🇪", 2), ("❤", 1), ("❤\u{fe0f}", 2), ("●○★■▪", 5), ("\u{200b}", 0),
    ])
    func `a text's width is that of a terminal`(text: String, width: Int) {
        #expect(Display.width(text) == width)
    }

    @Test func `rows that come later get no second header`() {
        var table = Table(["id", "x"], isColourful: false)
        #expect(table.text([["A", "1"]]) == "ID  X\nA   1\n")
        #expect(table.text([["LONG", "2"]]) == "LONG  2\n")
        #expect(table.text([["B", "3"]]) == "B     3\n")
    }

    @Test func `a name can't steer the terminal`() {
        #expect(Table.Cell("a\u{1b}[31m\r\nb\u{9b}").text == "a\\u{1b}[31m\\u{d} b\\u{9b}")
    }

    @Test func `colour and symbol of a status do not move the columns`() {
        var table = Table(["status", "x"], isColourful: true)
        let text = table.text([
            [Table.Cell(status: "active", isColourful: true), "1"],
            [Table.Cell(status: "winner_declared", isColourful: true), "2"],
        ])
        #expect(text.contains("\u{1b}[32m● active\u{1b}[0m           1\n"))
        #expect(text.contains("\u{1b}[33m★ winner_declared\u{1b}[0m  2\n"))
    }

    @Test func `without colour a status is just its word`() {
        #expect(Table.Cell(status: "active", isColourful: false).text == "active")
    }
}
