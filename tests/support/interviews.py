"""Short broadcasts with what a listener would say about their voices.

TUNED were read while the weights of roles.py were set. HELD_OUT were written afterwards, in other
words on purpose; docs/roles.md gives their figures before and after anything was changed for them. All are
invented.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Voice:
    """What is right to say about a voice: `roles` and `names` list the answers that are, best first."""

    roles: str  # "analyst" or "other|unknown"
    names: str = ""  # "Jane Doe|Jane"; "" where nothing names the voice
    affiliation: str = ""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A script (see tests/support/scripts.py) and its voices."""

    title: str
    script: str
    voices: dict[str, Voice]


TUNED = (
    Broadcast(
        "two guests",
        """
A: Good evening and welcome to Newsline. I'm Clara Voss. The central bank has raised interest rates
for the fifth time this year. What does it mean for people with a mortgage? Joining me now are Peter
Lang, chief economist at Nordbank, and Maria Okafor from the Housing Federation. Peter, let me start
with you. Was this necessary?
B: Well, Clara, I think it was. Inflation is still well above target and the bank had very little
choice. If you look at the data you see that prices of services are still going up.
A: Maria, what are your members telling you?
C: They are worried, frankly. We have families who pay half of their income for the loan, and I do
not see how they can carry another increase.
A: Peter, is that a price worth paying?
B: It is a hard question. I would say that high inflation hurts the same families even more.
A: Maria Okafor, Peter Lang, thank you both very much for joining us.
C: Thank you.
""",
        {
            "A": Voice("anchor", "Clara Voss|Clara"),
            "B": Voice("analyst", "Peter Lang", "Nordbank"),
            "C": Voice("analyst", "Maria Okafor", "Housing Federation"),
        },
    ),
    Broadcast(
        "co-anchors",
        """
A: Good morning, it's seven o'clock. I'm Tom Ashby.
B: And I'm Nina Sorel. Coming up, the storm that closed three airports, and the price of coffee.
A: First, the storm. Hundreds of flights were cancelled overnight and trains in the north are still
not running. Our reporter Liam Burke is at the main station. Liam, what's the latest?
C: Good morning, Tom. It is very quiet here at the station. I'm standing in front of the departure
board and every line says cancelled. People here have been told to go home. I spoke to a family that
slept on the floor.
A: And when will the trains run again?
C: The company says not before noon, Tom, and officials here told me that it may take until
tomorrow.
A: Liam Burke there. Thank you, Liam. Nina?
B: Thanks, Tom. Now to the price of coffee. It has doubled in two years, and the next harvest looks
poor. Stay with us, more on that after the break.
""",
        {
            "A": Voice("anchor", "Tom Ashby|Tom"),
            "B": Voice("anchor", "Nina Sorel|Nina"),
            "C": Voice("correspondent", "Liam Burke"),
        },
    ),
    Broadcast(
        "correspondent without hand-over words",
        """
A: The parliament in Tallinn votes tonight on the new border law. What is the mood there?
B: Tense, Anna. There are about two thousand people here in front of the building, and the police
have closed the bridge behind me. Sources here told me that the government is two votes short.
A: Do they have a chance of finding these votes?
B: They are trying. I've been speaking to members of the coalition all day and nobody wants to be
the one who says no. But as you know, Anna, it has been close before.
A: And if the law fails?
B: Then there will be an election in the autumn. That is what everybody here expects.
""",
        {
            "A": Voice("anchor", "Anna"),
            "B": Voice("correspondent"),
        },
    ),
    Broadcast(
        "no names at all",
        """
A: Thank you for coming in today. Can you explain what your team found in the ice?
B: Yes, we found traces of soot that are four thousand years old. Our research shows that people
burned much more wood than we thought.
A: How do you know that it is wood?
B: We look at the chemistry. Every fuel leaves a different mark, and I have spent ten years on these
marks with my students.
A: And what does it tell us about the climate today?
B: It tells us that even small fires add up. In my view that is the real lesson of our study.
""",
        {"A": Voice("anchor"), "B": Voice("analyst")},
    ),
    Broadcast(
        "panel",
        """
A: Welcome back to The Long View. With me in the studio are Helena Brandt, a fellow at the Institute
for Security Studies, Omar Aziz, former ambassador to Yemen, and Ruth Feld, who's a columnist for
the Morning Post. Helena, can this ceasefire hold?
B: I doubt it. Both sides have used the last one to rearm, and I see no reason why it should be
different now.
A: Omar, do you agree?
C: Not entirely. When I was ambassador I saw how tired people were. There is a real wish for peace.
B: But wishes do not stop rockets.
C: No, they do not, but they change what leaders can sell at home.
A: Ruth, what do readers say?
D: They have stopped reading, to be honest. Our data shows that stories about the war lose half of
their audience every month.
A: Helena, is that dangerous?
B: Of course it is. If nobody watches, nobody pays the price.
A: Helena Brandt, Omar Aziz and Ruth Feld, many thanks for being with us.
""",
        {
            "A": Voice("anchor"),
            "B": Voice("analyst", "Helena Brandt", "Institute for Security Studies"),
            "C": Voice("analyst", "Omar Aziz"),
            "D": Voice("analyst", "Ruth Feld", "Morning Post"),
        },
    ),
    Broadcast(
        "report with a clip",
        """
A: Farmers in the delta are losing their land to the sea. Our environment correspondent Marta Klein
has this report.
B: The water comes at night. In the village of Sandmouth, the fields that fed three generations are
white with salt. Every month the sea takes another metre, and the old dyke will not hold much
longer.
C: My father planted these trees. Now they are dead, all of them. I do not know what to tell my son.
B: The government promised a new dyke four years ago. The money was set aside, but the work has
never begun. Engineers say that each year of delay doubles the cost, while families pack their
things and move inland to towns that have no room for them.
A: Joining me now is Professor Daniel Roth, who's a hydrologist at the University of Delft. Welcome.
How much time is left?
D: Thank you for having me. Not very much, I'm afraid. Our models say ten years at most.
A: And can a dyke still help?
D: It can buy time. But I think we have to talk about moving people, and about doing it well.
A: Daniel Roth, thank you so much for your time.
""",
        {
            "A": Voice("anchor"),
            "B": Voice("narrator|correspondent", "Marta Klein"),
            "C": Voice("other"),
            "D": Voice("analyst", "Daniel Roth", "University of Delft"),
        },
    ),
    Broadcast(
        "single speaker",
        """
A: The river rose again overnight. By morning the lower town was under a metre of water, and the
army had begun to carry people out in boats. Schools will stay closed until Monday. The prime
minister is expected to visit the region this afternoon, together with the head of the civil
protection agency.
""",
        {"A": Voice("unknown")},
    ),
    Broadcast("one short turn", "A: Thank you.", {"A": Voice("unknown")}),
    Broadcast(
        "press conference",
        """
M: Good afternoon. I will make a short statement and then take your questions. The talks ended an
hour ago. We agreed on a first exchange of prisoners and on another meeting in two weeks. It is not
everything that we wanted, but it is a beginning.
Q: Minister, how many prisoners are we talking about?
M: About three hundred on each side. The lists are still being checked.
R: Did the other side agree to a ceasefire?
M: Not yet. It was discussed, and it will be discussed again.
S: Will you be there yourself in two weeks?
M: That is the plan. It depends on how the exchange goes.
T: Can you tell us who paid for the flights?
M: I cannot. That was all. Thank you very much.
""",
        {
            "M": Voice("other|unknown"),
            "Q": Voice("other|unknown"),
            "R": Voice("other|unknown"),
            "S": Voice("other|unknown"),
            "T": Voice("other|unknown"),
        },
    ),
    Broadcast(
        "the phrase quoted by a guest",
        """
A: We can now speak to Ines Pardo, who's a media researcher at the University of Porto. Ines, why do
people no longer trust the news?
B: Because it all sounds the same. You turn it on and they say "we can now speak to Boris Johnson,
who's a former prime minister", and you know every sentence that will follow. I'm joined by, let's
go to, over to you: it is a ritual.
A: So would other words help?
B: Other people would help. When you say joining me now is Elon Musk, nobody asks why it is him
again. We studied this in our research for years.
A: Ines Pardo of the University of Porto, many thanks.
B: Thank you.
""",
        {"A": Voice("anchor"), "B": Voice("analyst", "Ines Pardo", "University of Porto")},
    ),
    Broadcast(
        "reporter, then expert",
        """
A: Police in Lisbon have arrested twelve people over the theft of paintings from the national
museum. Let's go straight to our Lisbon correspondent, Hugo Marsh. Hugo, what do we know about the
arrests?
B: Well, they came early this morning, at six addresses here in the city. Police told me that they
have found four of the seven paintings, all of them undamaged.
A: And the other three?
B: Nobody knows, or nobody says. There is a rumour that they have left the country.
A: Hugo Marsh in Lisbon, thanks. For more on this I'm joined by Celine Dufour, director of the Art
Recovery Centre in Lyon. Good to have you with us. How do you sell a painting that everybody knows?
C: You don't. That's the point. In my view these thieves did not know what they had. They usually
try to get a ransom from the insurer.
A: Is that legal?
C: In most countries it is not. But I have seen it happen, more often than you would think.
A: Celine Dufour, thank you very much for your insights.
""",
        {
            "A": Voice("anchor"),
            "B": Voice("correspondent", "Hugo Marsh"),
            "C": Voice("analyst", "Celine Dufour", "Art Recovery Centre in Lyon|Art Recovery Centre"),
        },
    ),
    Broadcast(
        "report without announcement",
        """
A: Good evening. Voters in Andoria choose a new president on Sunday, and for the first time in
twenty years nobody knows who will win.
N: The posters hang on every lamp post. Two faces, two promises. On the one side the mayor of the
capital, a lawyer who says that she will end corruption. On the other the former general, who says
that only order brings bread. The polls give neither of them a majority. In the countryside the
general leads, in the cities the mayor. Much will depend on the young, and on whether they vote at
all.
A: With us now is Felix Amado, who teaches political science at Coimbra College. Mister Amado, who
is going to win?
B: I wish I knew. The polls here have been wrong three times in a row, so I would not bet any money
on it.
A: What would a victory of the general mean for the neighbours?
B: I think they would be nervous, at least at first. He has said some things about the border that
one cannot take back.
A: Felix Amado, thank you for talking to us.
B: My pleasure.
""",
        {
            "A": Voice("anchor"),
            "N": Voice("narrator"),
            "B": Voice("analyst", "Felix Amado", "Coimbra College"),
        },
    ),
    Broadcast(
        "public radio two-way, signed off",
        """
A: From the capital, this is Morning Wire. I'm Rachel Stone. The strike at the docks has entered its
third week. NPR's David Kern has been covering it and joins us now. David, are they any closer to a
deal?
B: Not really, Rachel. The two sides met for six hours yesterday and left through different doors. I
talked to a crane operator who says he can hold out until Christmas.
A: What are the companies saying?
B: They say that the offer on the table is final. But we're hearing from people in the room that
there is some movement on pensions.
A: That's NPR's David Kern. Thank you so much.
B: You're welcome.
""",
        {"A": Voice("anchor", "Rachel Stone|Rachel"), "B": Voice("correspondent", "David Kern", "NPR")},
    ),
    Broadcast(
        "lower case and no punctuation",
        """
A: for more on this we can now speak to amira haddad who's a senior fellow at the carnegie centre in
beirut welcome to the programme can you tell us what the army is trying to do
B: yeah i think they are trying to keep the roads open it is not about territory at all and in my
opinion that is the best they can do at this point
A: and do you think that they will succeed
B: i would argue that they already have um the convoys are moving again and that was the aim
A: amira haddad from the carnegie centre in beirut thank you so much for your time
""",
        {
            "A": Voice("anchor"),
            "B": Voice("analyst", "amira haddad", "carnegie centre in beirut"),
        },
    ),
    Broadcast(
        "labels",
        """
A: [ANCHOR:] The court has ruled that the highway may not be built. What happens next?
B: [ELENA WARD, BBC CORRESPONDENT:] The ministry will appeal. That can take two years.
A: [ANCHOR:] So no bulldozers for now?
B: [WARD:] Not before the appeal is decided.
C: [MAN:] They should never have started.
""",
        {
            "A": Voice("anchor"),
            "B": Voice("correspondent", "ELENA WARD", "BBC"),
            "C": Voice("other|unknown"),
        },
    ),
    Broadcast(
        "third persons everywhere",
        """
A: Chancellor Merz is meeting President Macron in Strasbourg today. They will talk about Ukraine,
about Donald Trump and about the budget. Can Germany and France still lead Europe?
B: Well, Germany has money and France has ideas, as they say. But Macron is weak at home, and Merz
needs the Social Democrats for every vote.
A: So Merz cannot deliver?
B: Merz can deliver a little. Thank God, Trump has made it easier for both, because nobody in Europe
wants to stand alone now.
A: And what about Poland?
B: Warsaw wants a seat at the table, and Tusk will get one, I think.
""",
        {"A": Voice("anchor"), "B": Voice("analyst|correspondent|unknown")},
    ),
    Broadcast(
        "phone-in",
        """
A: You're listening to Open Line. Our topic tonight is the new parking rules. On line one is Martin
from Leeds. Hello Martin, what do you think?
B: Hello. I think it's a disgrace. I have lived in this street for thirty years and now I have to
pay to park in front of my own house.
A: Thank you, Martin. Let's go to Sheila in York. Sheila, do you agree?
C: I don't, actually. I have a pram, and I cannot get along the pavement because of the cars.
A: So you would pay more?
C: I would, gladly.
A: Thanks, Sheila. Stay with us, the news is next.
""",
        {
            "A": Voice("anchor"),
            "B": Voice("other|unknown|analyst", "Martin"),
            "C": Voice("other|unknown|analyst", "Sheila"),
        },
    ),
    Broadcast(
        "sign-off in the field",
        """
A: The last miners have been brought up alive. Our reporter sent us this.
B: At four in the morning the cage came up for the last time. Six men, black with dust, stepped into
the light of the lamps. For nine days the whole valley had waited. The women of the village had
cooked for the rescuers, and the priest had rung the bell every hour. Now there is silence, and then
singing. Eva Lindqvist, BBC News, Kiruna.
A: And that is all from us tonight. Good night.
""",
        {"A": Voice("anchor"), "B": Voice("correspondent|narrator", "Eva Lindqvist", "BBC News")},
    ),
    Broadcast(
        "captions in capitals",
        """
A: WELCOME BACK. WE'RE JOINED NOW BY DR SUSAN HALE, PROFESSOR OF MEDICINE AT STANFORD UNIVERSITY.
DOCTOR, SHOULD PEOPLE BE WORRIED?
B: I DON'T THINK SO. WE HAVE SEEN THIS STRAIN BEFORE, AND OUR DATA SHOWS THAT THE VACCINE WORKS.
A: SO WHAT IS YOUR ADVICE?
B: WASH YOUR HANDS AND STAY AT HOME IF YOU ARE SICK. I TELL MY STUDENTS THE SAME.
A: DR SUSAN HALE, THANK YOU SO MUCH FOR JOINING US.
""",
        {"A": Voice("anchor"), "B": Voice("analyst", "SUSAN HALE", "STANFORD UNIVERSITY")},
    ),
    Broadcast(
        "an introduction that only the recording holds",
        """
A: The volcano has been active since Tuesday. <joining me now is anton berg who's a geologist at the
university of oslo> Anton, how big is the danger?
B: For the village it is serious. I would not sleep there. For the air traffic I am less worried,
because there is hardly any ash.
A: And how long can this go on?
B: Weeks, I think. The last one took two months to calm down, and in our data this one looks the
same.
A: Thank you very much for your time.
""",
        {"A": Voice("anchor"), "B": Voice("analyst", "anton berg|Anton", "university of oslo")},
    ),
)

HELD_OUT = (
    Broadcast(
        "three-way handover",
        """
A: From our newsroom in Toronto, this is The Late Edition. A court has blocked the sale of the ferry
line. Sasha Mirren joins us from Halifax with the details. Sasha, why did the judge step in?
B: Because of the pensions, Imran. The judge said in his ruling that nobody had asked the two
thousand people whose money is in that fund. I was in the courtroom this morning and you could hear
people gasp.
A: Is the sale dead?
B: Not dead, but on ice. The buyers told CBC that they will appeal next week.
A: Thanks for this, Sasha. Let's get some perspective now from Anil Deshpande. He teaches corporate
law at McGill University. Professor, how unusual is this?
C: It is very unusual. I can think of two cases in forty years, and in both of them the buyer walked
away.
A: So you expect the same?
C: I would not be surprised.
A: Anil Deshpande, appreciate your time tonight.
C: Glad to help.
""",
        {
            "A": Voice("anchor", "Imran"),
            "B": Voice("correspondent", "Sasha Mirren|Sasha"),
            "C": Voice("analyst", "Anil Deshpande", "McGill University"),
        },
    ),
    Broadcast(
        "magazine item",
        """
A: Bees are back on the roofs of Copenhagen. Freja Holm went to see them.
B: Nine floors above the traffic, the air smells of wax. Two hundred thousand bees live here in
wooden boxes, between the lift shaft and the solar panels. The hotel below sells their honey at
breakfast. Three years ago the roof was gravel. Now lavender grows in old bathtubs, and the guests
come up to look.
C: At first they were scared. Then they asked if they could hold one.
B: The city counts four hundred hives today. Not everybody is happy about it. Wild bees need the
same flowers, and there are not enough of them. Next spring the council will limit the number of
hives for each district.
A: And if you want to see the hives yourself, there is a tour every Sunday. Now the weather.
D: Thank you. It stays wet in the west, with some sun in the afternoon, and the wind picks up
towards evening. Tomorrow looks better for everybody.
""",
        {
            "A": Voice("anchor"),
            "B": Voice("narrator|correspondent", "Freja Holm"),
            "C": Voice("other"),
            "D": Voice("other|unknown"),
        },
    ),
    Broadcast(
        "podcast with a scientist",
        """
H: Hi, I'm Dora Quist, and you're listening to Small Wonders. My guest today is Matteo Brandi. He
runs the snail laboratory at the University of Pavia. Matteo, what can a snail teach us?
G: Patience, for a start. But seriously, a snail has about ten thousand nerve cells, and we can
watch every single one of them while it learns.
H: It learns?
G: Oh yes. If it tastes something bitter once, it will avoid it for weeks. My students did not
believe it until they saw it.
H: And how do you know that it remembers, and is not just in a bad mood?
G: That is a very good question. We had to build a control group of grumpy snails.
H: Matteo Brandi, thank you for coming on the show.
G: It was fun.
""",
        {
            "H": Voice("anchor", "Dora Quist"),
            "G": Voice("analyst", "Matteo Brandi", "University of Pavia"),
        },
    ),
    Broadcast(
        "debate of two politicians",
        """
M: Welcome to the final debate. On my left is the mayor, Carla Winters. On my right is her
challenger, Ben Osei. Mayor Winters, you have two minutes. Why should the city trust you again?
W: Because we kept our word. We promised four new schools and we built five. We promised clean buses
and they are on the road.
M: Mister Osei, your answer?
O: The schools have no teachers and the buses have no drivers. That is what happens when you count
walls and wheels instead of people.
W: That is simply not true.
O: Ask the parents.
M: Please, one at a time. What would you do first, Mister Osei?
O: I would pay the drivers. It is that simple.
M: Thank you both. Good night.
""",
        {
            "M": Voice("anchor"),
            "W": Voice("analyst|other|unknown", "Carla Winters|Winters"),
            "O": Voice("analyst|other|unknown", "Ben Osei|Osei"),
        },
    ),
    Broadcast(
        "bare two-way",
        """
A: What happened at the border last night?
B: Around midnight the barrier went up and about sixty lorries crossed. Nobody checked them. I'm
standing at the crossing point now and there is still no guard here.
A: Who gave the order?
B: Officials here say that it came from the capital, but they will not say from whom.
A: And now?
B: Now everybody waits. There is another column of lorries behind me, and the drivers have made a
fire.
""",
        {"A": Voice("anchor"), "B": Voice("correspondent")},
    ),
    Broadcast(
        "an expert between two reports",
        """
A: Good afternoon. The reservoir at Hale is down to nine percent.
B: From above it looks like a map of an unknown country. Cracked mud, a church tower, the stumps of
an orchard that was flooded in nineteen fifty two. The village of Old Hale has come back to the
light. Walkers climb over the walls of the kitchen gardens. The water company has put up signs, but
no one reads them. By the end of the month, it says, the last pump will draw air.
A: Dr Wen Li is a water engineer with the Rivers Trust. Dr Li, can this be turned around before the
summer?
C: Only with rain, and a lot of it. The ground is so dry that the first week of rain will not even
reach the river.
A: What can people do?
C: Shorter showers help, honestly. So does fixing the pipes. A quarter of the water is lost on its
way.
A: Dr Wen Li of the Rivers Trust. And now to sport.
""",
        {
            "A": Voice("anchor"),
            "B": Voice("narrator"),
            "C": Voice("analyst", "Wen Li", "Rivers Trust"),
        },
    ),
    Broadcast(
        "court statement",
        """
A: This is what the lawyer of the family said outside the court today.
B: My clients have waited eleven years for this day. They did not come for money. They came to hear
one word, and today the judge has said it. We will not answer any questions. We ask you to let them
go home.
A: The company has thirty days to appeal.
""",
        {"A": Voice("anchor|unknown"), "B": Voice("other|unknown")},
    ),
    Broadcast(
        "a lost comma and a mangled name",
        """
A: and now let's go live to our Brussels correspondent Teri. Schulz Teri what are you hearing about
the new sanctions?
B: well Tom diplomats here tell me that the list is ready but that two countries still have doubts
um we may see a decision tonight
A: and what's on the list?
B: mostly ships uh tankers that carry oil under false flags and about thirty names of people who own
them
A: Terry Schults in Brussels thank you very much
""",
        {"A": Voice("anchor", "|Tom"), "B": Voice("correspondent", "Teri|Teri Schulz|Terry Schults")},
    ),
)
