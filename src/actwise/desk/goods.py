"""What the businesses of the desk sell or let.

There are many for training, so that names are copied and not known by heart; those kept for
`shifted` are in the second pool.
"""

from actwise.desk.world import Choice


def _pool(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PRODUCTS = Choice(
    _pool(
        "lamp kettle chair mirror blanket clock basket pan shelf pillow vase towel candle bottle "
        "table carpet curtain toaster teapot ladder bucket mixer tray stool apron backpack bathtub "
        "blender broom cabinet camera canvas cooler cushion drawer drill dryer easel fridge "
        "flask freezer funnel globe grater guitar hammer hanger heater helmet hose iron jacket "
        "jar keyboard ladle lantern locker loom mattress mop mug napkin oven paddle parasol peeler "
        "piano pitcher plate projector pump puzzle quilt racket radio razor ruler saddle saucer "
        "scarf scooter screen sewing sieve sink sled sofa spade speaker sponge stapler statue "
        "strainer suitcase swing tablet tap telescope thermos tile toolbox torch trolley trunk "
        "tripod typewriter umbrella vacuum violin wagon wallet wardrobe watch whisk whistle wreath"
    ),
    _pool("rug desk fan bench jug knife scale grill hammock tent"),
)
ROOMS = Choice(
    _pool(
        "single double family garden sea attic corner tower balcony twin alpine amber anchor arch "
        "autumn bamboo birch bridge canal castle cedar chapel cherry chestnut cliff coral cottage "
        "courtyard crystal dune eagle elm ember falcon fern fountain gallery hazel heron "
        "hill honey island ivory ivy jasmine lagoon lake lantern laurel lavender library lily "
        "lotus maple marble meadow mill moon moss mountain oak ocean olive orchard orchid panorama "
        "park pearl pine poppy rainbow river robin rose ruby saffron sail sapphire shell spring "
        "star summer swan terrace tulip valley vineyard violet willow winter"
    ),
    _pool("studio cabin loft harbour forest queen"),
)
PLANS = Choice(
    _pool(
        "basic comfort city family travel student office weekend silver active advance aero allday "
        "alpha arrow aurora balance beacon bravo breeze bronze canvas chat classic cloud comet "
        "compact copper cosmos daily delta diamond direct dolphin echo economy eclipse elite "
        "emerald essential evening explorer express falcon fiesta flash fleet flex focus fusion "
        "galaxy global harmony home horizon impulse jumbo jump lemon liberty lite lunar magnet "
        "max medium metro mini momentum neon night ocean omega orbit panda phoenix pioneer planet "
        "plus prime pulse quantum radius relax rocket senior signal smart social sonic spark "
        "sprint starter stream summit talk team tempo tiger titan total trio ultra union urban "
        "vector velvet vivid wave zenith zoom"
    ),
    _pool("nomad turbo pocket sunrise junior golden"),
)
